"""The same weights give the same scores as mmsegmentation 1.2.2."""

import re

import pytest
import torch

from limner.networks import build_network

pytestmark = pytest.mark.peer

NORM = {"type": "BN"}
BACKBONE = {
    "num_stages": 4,
    "out_indices": (0, 1, 2, 3),
    "dilations": (1, 1, 2, 4),
    "strides": (1, 2, 1, 1),
    "norm_cfg": NORM,
    "contract_dilation": True,
}
# From mmsegmentation's names to ours: (pattern, replacement), applied in turn.
RENAME = [
    (r"^backbone\.stem\.7\.", "backbone.bn1."),
    (r"^backbone\.stem\.", "backbone.conv1."),
    (r"^decode_head\.psp_modules\.(\d)\.1\.", r"context.branches.\1."),
    (r"^decode_head\.image_pool\.1\.", "context.image_branch."),
    (r"^decode_head\.aspp_modules\.", "context.branches."),
    (r"^decode_head\.c1_bottleneck\.", "low_level."),
    (r"^decode_head\.sep_bottleneck\.", "decoder."),
    (r"^decode_head\.conv_seg\.", "head.conv."),
    (r"^auxiliary_head\.conv_seg\.", "auxiliary_head.classifier.conv."),
    (r"\.(depthwise|pointwise)_conv\.", r".\1."),
    (r"^((?!backbone).*)\.bn\.", r"\1.norm."),
]


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("name", ["pspnet", "deeplabv3plus"])
def test_scores_equal_mmsegmentations(mmseg_models, randomize, name, depth):
    theirs = randomize(_mmseg(mmseg_models, name, depth))
    ours = build_network(name, num_classes=19, backbone=f"resnet{depth}c")
    ours.load_state_dict(_rename(theirs.state_dict(), name))
    images = torch.randn(2, 3, 65, 97, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        features = theirs["backbone"](images)
        expected = theirs["decode_head"](features)
        expected_side = theirs["auxiliary_head"](features)
        scores = ours.eval()(images).logits
        side = ours.auxiliary_head(ours.backbone(images)[-2])

    torch.testing.assert_close(scores, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(side, expected_side, atol=1e-4, rtol=1e-4)


def _mmseg(models, name, depth):
    deep = 512 if depth == 18 else 2048
    head = {
        "in_channels": deep,
        "in_index": 3,
        "channels": deep // 4,
        "num_classes": 19,
        "norm_cfg": NORM,
        "dropout_ratio": 0.1,
        "align_corners": False,
    }
    if name == "pspnet":
        head |= {"type": "PSPHead", "pool_scales": (1, 2, 3, 6)}
    else:
        head |= {
            "type": "DepthwiseSeparableASPPHead",
            "dilations": (1, 12, 24, 36),
            "c1_in_channels": deep // 8,
            "c1_channels": 12 if depth == 18 else 48,
        }
    side = {
        "type": "FCNHead",
        "in_channels": deep // 2,
        "in_index": 2,
        "channels": deep // 8,
        "num_convs": 1,
        "concat_input": False,
        "num_classes": 19,
        "norm_cfg": NORM,
        "align_corners": False,
    }
    return torch.nn.ModuleDict(
        {
            "backbone": models.BACKBONES.build({"type": "ResNetV1c", "depth": depth, **BACKBONE}),
            "decode_head": models.HEADS.build(head),
            "auxiliary_head": models.HEADS.build(side),
        }
    )


def _rename(state, name):
    bottleneck = "context.fusion." if name == "pspnet" else "context.projection."
    renamed = {}
    for key, value in state.items():
        for pattern, replacement in [(r"^decode_head\.bottleneck\.", bottleneck), *RENAME]:
            key = re.sub(pattern, replacement, key)
        renamed[key] = value
    if name == "deeplabv3plus":
        # Theirs joins the image's mean first, ours last, as the paper's figure does.
        weight = renamed["context.projection.conv.weight"]
        renamed["context.projection.conv.weight"] = weight.roll(-weight.shape[0], dims=1)
    return renamed


# From mmsegmentation's names to ours, for the Mix Transformer and its decoder.
SEGFORMER = [
    *(
        pair
        for stage in (1, 2, 3, 4)
        for pair in [
            (rf"^backbone\.layers\.{stage - 1}\.0\.projection\.", f"backbone.patch_embed{stage}.proj."),
            (rf"^backbone\.layers\.{stage - 1}\.0\.norm\.", f"backbone.patch_embed{stage}.norm."),
            (rf"^backbone\.layers\.{stage - 1}\.1\.", f"backbone.block{stage}."),
            (rf"^backbone\.layers\.{stage - 1}\.2\.", f"backbone.norm{stage}."),
        ]
    ),
    (r"\.attn\.attn\.out_proj\.", ".attn.proj."),
    (r"\.ffn\.layers\.0\.", ".mlp.fc1."),
    (r"\.ffn\.layers\.1\.", ".mlp.dwconv.dwconv."),
    (r"\.ffn\.layers\.4\.", ".mlp.fc2."),
    (r"^decode_head\.convs\.(\d)\.", r"decoder.projections.\1."),
    (r"^decode_head\.fusion_conv\.", "decoder.fusion."),
    (r"^decode_head\.conv_seg\.", "head.conv."),
    (r"^(decoder\..*)\.bn\.", r"\1.norm."),
]


@pytest.mark.parametrize("size", [(64, 96), (65, 47)])
def test_segformer_equals_mmsegmentations(mmseg_models, randomize, size):
    theirs = randomize(
        torch.nn.ModuleDict(
            {
                "backbone": mmseg_models.BACKBONES.build(
                    {"type": "MixVisionTransformer", "embed_dims": 32, "num_layers": [2, 2, 2, 2]}
                    | {"num_heads": [1, 2, 5, 8]}
                ),
                "decode_head": mmseg_models.HEADS.build(
                    {"type": "SegformerHead", "in_channels": [32, 64, 160, 256], "in_index": [0, 1, 2, 3]}
                    | {"channels": 256, "num_classes": 19, "norm_cfg": NORM, "align_corners": False}
                ),
            }
        )
    )
    ours = build_network("segformer", num_classes=19, decoder="mmsegmentation")
    state = {}
    for key, value in theirs.state_dict().items():
        for pattern, replacement in SEGFORMER:
            key = re.sub(pattern, replacement, key)
        if ".attn.attn.in_proj_" in key:
            query, pair = value.split([value.shape[0] // 3, value.shape[0] // 3 * 2])
            state[key.replace("attn.in_proj_", "q.")], state[key.replace("attn.in_proj_", "kv.")] = (
                query,
                pair,
            )
        else:
            state[key] = value.reshape(value.shape[:2]) if "fc" in key and value.ndim == 4 else value
    ours.load_state_dict(state)
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        expected = theirs["decode_head"](theirs["backbone"](images))
        torch.testing.assert_close(ours.eval()(images).logits, expected, atol=1e-4, rtol=1e-4)
