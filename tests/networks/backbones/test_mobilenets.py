"""limner's MobileNets against timm's: independent implementations with the same tensors in order."""

import pytest
import timm
import torch

from limner.networks.backbones import build_backbone

NAMES = {
    "mobilenet_v2": "mobilenetv2_100",
    "tf_mobilenet_v3_large": "tf_mobilenetv3_large_100",
    "tf_mobilenet_v3_small": "tf_mobilenetv3_small_100",
}


def _in_order(theirs, ours):
    """Return their tensors under our names."""
    values = theirs.state_dict().values()
    return dict(zip(ours.state_dict(), values, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_weights_give_timms_features(name, randomize):
    theirs = randomize(timm.create_model(NAMES[name], features_only=True))
    ours = build_backbone(name).eval()
    ours.load_state_dict(_in_order(theirs, ours))
    images = torch.randn(1, 3, 97, 131, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found, expected = ours(images), theirs(images)
    assert ours.strides == tuple(theirs.feature_info.reduction())
    for index, (mine, other) in enumerate(zip(found, expected, strict=True)):
        if name != "mobilenet_v2" and index == 2:
            continue  # the first map of stride 8 here, the last there
        assert mine.shape[1] == ours.channels[index]
        scale = float(other.abs().max())
        torch.testing.assert_close(mine, other, atol=1e-4 * max(scale, 1.0), rtol=1e-4)


@pytest.mark.parametrize("name", ["mobilenet_v3_large", *NAMES])
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_strides_and_channels_are_true(name, output_stride):
    backbone = build_backbone(name, output_stride=output_stride).eval()
    with torch.no_grad():
        maps = backbone(torch.randn(1, 3, 64, 96))
    assert [m.shape[1] for m in maps] == list(backbone.channels)
    assert [64 // m.shape[2] for m in maps] == list(backbone.strides)
    assert backbone.strides[-1] == output_stride and backbone.strides[:2] == (2, 4)
