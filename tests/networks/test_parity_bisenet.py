"""The same weights give the same scores as the BiSeNets of mmsegmentation 1.2.2."""

import pytest
import torch

from limner.networks import build_network
from limner.weights.renaming import rename
from limner.weights.sources.pixels.mmseg_whole_networks import naming_of

pytestmark = pytest.mark.peer

NORM = {"type": "BN"}


def head(in_channels, channels, index, num_convs=1):
    return {
        "type": "FCNHead",
        "in_channels": in_channels,
        "channels": channels,
        "in_index": index,
        "num_convs": num_convs,
        "concat_input": False,
        "dropout_ratio": 0.1,
        "num_classes": 19,
        "norm_cfg": NORM,
    }


def bisenetv1(depth, scale):
    backbone = {"type": "ResNet", "depth": depth, "norm_cfg": NORM}
    net = {
        "type": "BiSeNetV1",
        "backbone_cfg": backbone,
        "context_channels": (128 * scale, 256 * scale, 512 * scale),
        "spatial_channels": (64 * scale, 64 * scale, 64 * scale, 128 * scale),
        "out_channels": 256 * scale,
        "norm_cfg": NORM,
    }
    sides = [head(128 * scale, 64 * scale, index) for index in (1, 2)]
    return net, head(256 * scale, 256 * scale, 0), sides


def bisenetv2():
    widths = ((16, 16), (32, 64), (64, 256), (128, 1024))
    sides = [head(width, channels, i, num_convs=2) for i, (width, channels) in enumerate(widths, 1)]
    return {"type": "BiSeNetV2", "norm_cfg": NORM}, head(128, 1024, 0), sides


@pytest.mark.parametrize(
    ("name", "options", "theirs"),
    [
        ("bisenetv1", {}, bisenetv1(18, 1)),
        ("bisenetv1", {"backbone": "resnet50"}, bisenetv1(50, 4)),
        ("bisenetv2", {"layout": "mmsegmentation"}, bisenetv2()),
    ],
)
def test_scores_equal_mmsegmentations(mmseg_models, randomize, name, options, theirs):
    net, main, sides = theirs
    theirs = torch.nn.ModuleDict(
        {
            "backbone": mmseg_models.BACKBONES.build(net),
            "decode_head": mmseg_models.HEADS.build(main),
            "auxiliary_head": torch.nn.ModuleList(mmseg_models.HEADS.build(side) for side in sides),
        }
    )
    randomize(theirs)
    ours = build_network(name, num_classes=19, **options).eval()
    state = theirs.state_dict()
    ours.load_state_dict(rename(state, naming_of(name, state)).tensors)
    images = torch.randn(2, 3, 65, 97, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        features = theirs["backbone"](images)
        torch.testing.assert_close(ours(images).logits, theirs["decode_head"](features), atol=1e-4, rtol=1e-4)
        expected = [side(features) for side in theirs["auxiliary_head"]]
        ours.training = True  # auxiliary outputs, and nothing else of training
        for found, wanted in zip(ours(images).auxiliary, expected, strict=True):
            torch.testing.assert_close(found.logits, wanted, atol=1e-4, rtol=1e-4)
