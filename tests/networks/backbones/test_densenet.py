import pytest
import timm
import torch

from limner.networks.backbones import build_densenet


@pytest.mark.parametrize("size", [(64, 96), (32, 32)])
def test_the_maps_equal_timms_on_the_same_weights(size):
    theirs = timm.create_model("densenet121").eval()
    ours = build_densenet("densenet121").eval()
    weights = theirs.state_dict()
    ours.load_state_dict({name: weights[name] for name in ours.state_dict()})
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = images
        for name, part in theirs.features.named_children():
            if name == "norm5":
                break
            expected = part(expected)
        found = ours(images)
    torch.testing.assert_close(found[-1], expected)
    assert [features.shape[1] for features in found] == list(ours.channels)


@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_strides_and_odd_sizes(output_stride):
    backbone = build_densenet("densenet121", output_stride=output_stride).eval()
    with torch.no_grad():
        maps = backbone(torch.randn(1, 3, 33, 65))
    for features, stride in zip(maps, backbone.strides, strict=True):
        assert features.shape[2:] == (-(-33 // stride), -(-65 // stride))


def test_dilation_keeps_the_weights_view_of_every_second_pixel():
    # A dilated block does to each of the interleaved coarse maps what the plain block does to one map.
    coarse, fine = (build_densenet("densenet121", output_stride=s).eval() for s in (32, 16))
    fine.load_state_dict(coarse.state_dict())
    block, dilated = coarse.features.denseblock4, fine.features.denseblock4
    features = torch.randn(1, 512, 6, 8)
    with torch.no_grad():
        torch.testing.assert_close(
            dilated(features)[:, :, ::2, ::2], block(features[:, :, ::2, ::2]), atol=1e-5, rtol=1e-4
        )
