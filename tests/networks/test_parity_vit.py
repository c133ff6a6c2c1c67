"""The same weights give the same scores as mmsegmentation 1.2.2, on plain Vision Transformers."""

import re

import pytest
import torch

from limner.networks import build_network

pytestmark = pytest.mark.peer

NORM = {"type": "BN"}
TRANSFORMER = {
    "img_size": (64, 64),
    "embed_dims": 192,
    "num_layers": 4,
    "num_heads": 3,
    "out_indices": (0, 1, 2, 3),
    "norm_cfg": {"type": "LN", "eps": 1e-6},
}
OURS = {"backbone": "vit_tiny_patch16_224", "num_blocks": 4, "image_size": 64, "channels": 32}
HEAD = {"num_classes": 19, "norm_cfg": NORM, "align_corners": False}
SIDE = {"type": "FCNHead", "in_channels": 192, "num_convs": 1, "concat_input": False, "channels": 16, **HEAD}
UPER = {"type": "UPerHead", "in_channels": [192] * 4, "in_index": [0, 1, 2, 3], "channels": 32, **HEAD}
UP = {"type": "SETRUPHead", "in_channels": 192, "channels": 32, "dropout_ratio": 0, **HEAD}
# From mmsegmentation's names to ours: (pattern, replacement), applied in turn.
RENAME = [
    (r"^backbone\.layers\.", "backbone.blocks."),
    (r"^backbone\.patch_embed\.projection\.", "backbone.patch_embed.proj."),
    (r"^backbone\.ln1\.", "backbone.norm."),
    (r"\.attn\.attn\.in_proj_", ".attn.qkv."),
    (r"\.attn\.attn\.out_proj\.", ".attn.proj."),
    (r"\.ln(\d)\.", r".norm\1."),
    (r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."),
    (r"\.ffn\.layers\.1\.", ".mlp.fc2."),
    (r"\.gamma_(\d)$", r".ls\1.gamma"),
    (r"\.blocks\.(\d)\.attn\.relative_position_bias_table", r".relative_positions.\1.table"),
    (r"^neck\.lateral_convs\.(\d)\.conv\.", r"neck.laterals.\1."),
    (r"^neck\.convs\.(\d)\.conv\.", r"neck.convs.\1."),
    (r"^neck\.upsample_4x\.", "neck.four."),
    (r"^neck\.upsample_2x\.0\.", "neck.two."),
    (r"^decode_head\.psp_modules\.(\d)\.1\.", r"decoder.pyramid.branches.\1."),
    (r"^decode_head\.bottleneck\.", "decoder.pyramid.fusion."),
    (r"^decode_head\.lateral_convs\.", "decoder.laterals."),
    (r"^decode_head\.fpn_convs\.", "decoder.smoothing."),
    (r"^decode_head\.fpn_bottleneck\.", "decoder.fusion."),
    (r"^((?!backbone).*)\.bn\.", r"\1.norm."),
]
VIT = [
    (r"^decode_head\.conv_seg\.", "head.conv."),
    (r"^auxiliary_head\.conv_seg\.", "auxiliary_head.classifier.conv."),
]
SETR = [
    (r"^neck\.norm\.", "levels.norms."),
    (r"^neck\.mla\.channel_proj\.", "levels.laterals."),
    (r"^neck\.mla\.feat_extract\.", "levels.convs."),
    (r"^decode_head\.", "head."),
    (r"^auxiliary_head\.(\d)\.", r"auxiliary_heads.\1."),
    (r"\.up_convs\.(\d)\.0\.", r".convs.\1."),
    (r"\.conv_seg\.", ".classifier.conv."),
]
MLA = [
    (r"^decode_head\.up_convs\.(\d)\.", r"head.branches.\1."),
    (r"^auxiliary_head\.(\d)\.conv_seg\.", r"auxiliary_heads.\1.conv."),
]
CASES = {
    "vit-multilevel": (
        "vit",
        {"type": "VisionTransformer", "final_norm": True},
        {"type": "MultiLevelNeck", "in_channels": [192] * 4, "out_channels": 192, "scales": [4, 2, 1, 0.5]},
        UPER,
        {**SIDE, "in_index": 3},
        {"patch_bias": False, "final_norm": True, "auxiliary_channels": 16},
    ),
    "vit-deconvolution": (
        "vit",
        {"type": "MAE", "init_values": 1.0},
        {"type": "Feature2Pyramid", "embed_dim": 192, "norm_cfg": NORM},
        UPER,
        {**SIDE, "in_index": 2},
        {
            "neck": "deconvolution",
            "relative_positions": True,
            "layer_scale": 1.0,
            "auxiliary_level": 2,
            "auxiliary_channels": 16,
        },
    ),
    "setr-pup": (
        "setr",
        {"type": "VisionTransformer", "interpolate_mode": "bilinear"},
        None,
        {**UP, "num_convs": 4, "up_scale": 2, "in_index": 3},
        [{**UP, "num_convs": 2, "up_scale": 4, "in_index": level} for level in range(3)],
        {"patch_bias": False},
    ),
    "setr-naive": (
        "setr",
        {"type": "VisionTransformer", "interpolate_mode": "bilinear"},
        None,
        {**UP, "num_convs": 1, "up_scale": 4, "kernel_size": 1, "in_index": 3},
        [{**UP, "num_convs": 1, "up_scale": 4, "kernel_size": 1, "in_index": level} for level in range(3)],
        {"patch_bias": False, "head": "naive"},
    ),
    "setr-mla": (
        "setr",
        {"type": "VisionTransformer", "interpolate_mode": "bilinear", "with_cls_token": False},
        {
            "type": "MLANeck",
            "in_channels": [192] * 4,
            "out_channels": 32,
            "norm_cfg": NORM,
            "act_cfg": {"type": "ReLU"},
        },
        {
            "type": "SETRMLAHead",
            "in_channels": [32] * 4,
            "in_index": [0, 1, 2, 3],
            "channels": 64,
            "mla_channels": 16,
            **HEAD,
        },
        [
            {"type": "FCNHead", "in_channels": 32, "channels": 32, "num_convs": 0, "kernel_size": 1}
            | {"concat_input": False, "in_index": level, **HEAD}
            for level in range(4)
        ],
        {"patch_bias": False, "head": "mla"},
    ),
}


@pytest.mark.parametrize("size", [(64, 64), (64, 96)])
@pytest.mark.parametrize("case", CASES)
def test_scores_equal_mmsegmentations(mmseg_models, randomize, case, size):
    if case == "vit-deconvolution" and size != (64, 64):
        pytest.skip("mmsegmentation's MAE takes images of one size only")
    name, backbone, neck, head, side, options = CASES[case]
    sides = side if isinstance(side, list) else [side]
    theirs = randomize(
        torch.nn.ModuleDict(
            {
                "backbone": mmseg_models.BACKBONES.build({**TRANSFORMER, **backbone}),
                "neck": mmseg_models.BACKBONES.build(neck) if neck else torch.nn.Identity(),
                "decode_head": mmseg_models.HEADS.build(head),
                "auxiliary_head": torch.nn.ModuleList(mmseg_models.HEADS.build(each) for each in sides),
            }
        )
    )
    ours = build_network(name, num_classes=19, **OURS, **options)
    ours.load_state_dict(_rename(theirs.state_dict(), name, case))
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        features = theirs["neck"](theirs["backbone"](images))
        torch.testing.assert_close(
            ours.eval()(images).logits, theirs["decode_head"](features), atol=1e-4, rtol=1e-4
        )
        expected = [head(features) for head in theirs["auxiliary_head"]]
        found = [side.logits for side in _in_training(ours, images)]
    for ours_side, theirs_side in zip(found, expected, strict=True):
        torch.testing.assert_close(ours_side, theirs_side, atol=1e-4, rtol=1e-4)


def _in_training(network, images):
    """Auxiliary scores come in training only; norms and dropout stay as they are."""
    network.eval().training = True
    return network(images).auxiliary


def _rename(state, name, case):
    renamed = {}
    for key, value in state.items():
        if "relative_position_index" in key or (case == "setr-mla" and key == "backbone.cls_token"):
            continue
        own = VIT if name == "vit" else [*MLA, *SETR] if case == "setr-mla" else SETR
        for pattern, replacement in [*RENAME, *own]:
            key = re.sub(pattern, replacement, key)
        if name == "vit":
            key = re.sub(r"^auxiliary_head\.0\.", "auxiliary_head.", key)
            key = re.sub(r"^auxiliary_head\.conv_seg\.", "auxiliary_head.classifier.conv.", key)
        if case == "setr-mla" and key == "backbone.pos_embed":
            value = value[:, 1:]  # theirs keeps a position for the class token it leaves out
        renamed[key] = value
    return renamed
