"""The same weights give the same scores as mmsegmentation 1.2.2."""

import pytest
import torch

from limner.networks import build_network
from limner.weights.sources.pixels.mmseg import rename_mmseg

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
HEADS = {"pspnet": "PSPHead", "deeplabv3plus": "DepthwiseSeparableASPPHead"}


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("name", HEADS)
def test_scores_equal_mmsegmentations(mmseg_models, randomize, name, depth):
    theirs = randomize(_mmseg(mmseg_models, name, depth))
    ours = build_network(name, num_classes=19, backbone=f"resnet{depth}c")
    ours.load_state_dict(rename_mmseg(theirs.state_dict(), HEADS[name], "ResNetV1c").tensors)
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
        "type": HEADS[name],
        "in_channels": deep,
        "in_index": 3,
        "channels": deep // 4,
        "num_classes": 19,
        "norm_cfg": NORM,
        "dropout_ratio": 0.1,
        "align_corners": False,
    }
    if name == "pspnet":
        head |= {"pool_scales": (1, 2, 3, 6)}
    else:
        head |= {
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
    renamed = rename_mmseg(theirs.state_dict(), "SegformerHead", "MixVisionTransformer")
    ours.load_state_dict(renamed.tensors)
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        expected = theirs["decode_head"](theirs["backbone"](images))
        torch.testing.assert_close(ours.eval()(images).logits, expected, atol=1e-4, rtol=1e-4)
