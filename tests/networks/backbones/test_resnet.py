"""Our ResNet against timm's: an independent implementation with the same parameter names."""

import pytest
import timm
import torch

from limner.core.errors import ConfigError, UnknownNameError
from limner.networks.backbones import build_backbone
from limner.networks.backbones.resnet import RESNETS
from limner.networks.weightless import weightless


@pytest.mark.parametrize("name", ["resnet18", "resnet18d", "resnet34", "resnet50c", "resnet50s", "resnet50d"])
def test_the_same_weights_give_timms_features(name, randomize):
    theirs = randomize(timm.create_model(name, features_only=True))
    ours = build_backbone(name).eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(1, 3, 65, 97, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for found, expected in zip(ours(images), theirs(images), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert ours.channels == tuple(theirs.feature_info.channels())
    assert ours.strides == tuple(theirs.feature_info.reduction())


@pytest.mark.parametrize("output_stride", [8, 16])
def test_contracted_dilation_is_timms_too(output_stride, randomize):
    theirs = randomize(timm.create_model("resnet50c", features_only=True, output_stride=output_stride))
    ours = build_backbone("resnet50c", output_stride=output_stride).eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(1, 3, 65, 97, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for found, expected in zip(ours(images), theirs(images), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert ours.strides == tuple(theirs.feature_info.reduction())


@pytest.mark.parametrize("name", RESNETS)
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_channels_and_strides_are_true(name, output_stride):
    with weightless(), torch.no_grad():
        backbone = build_backbone(name, in_channels=2, output_stride=output_stride).eval()
        features = backbone(torch.zeros(1, 2, 64, 96, device="meta"))
    assert tuple(f.shape[1] for f in features) == backbone.channels
    assert tuple(96 // f.shape[3] for f in features) == backbone.strides


def dilations(backbone, stage):
    return [
        module.dilation[0]
        for module in getattr(backbone, f"layer{stage}").modules()
        if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (3, 3)
    ]


def test_the_two_manners_of_dilation():
    contracted = build_backbone("resnet18", output_stride=8)
    # mmsegmentation: first block half of it, second convolutions not at all
    assert dilations(contracted, 3) == [1, 1, 2, 1]
    assert dilations(contracted, 4) == [2, 1, 4, 1]
    uniform = build_backbone("resnet18", output_stride=8, dilation="uniform")
    assert dilations(uniform, 3) == [2, 2, 2, 2]
    assert dilations(uniform, 4) == [4, 4, 4, 4]


def test_a_multi_grid_multiplies_the_last_stage():
    # "Rethinking Atrous Convolution", section 3.2.1: rates 2 * (1, 2, 4) at output stride 16
    backbone = build_backbone("resnet50", output_stride=16, dilation="uniform", multi_grid=(1, 2, 4))
    assert dilations(backbone, 4) == [2, 4, 8]
    assert dilations(backbone, 3) == [1] * 6


def test_blocks_start_as_identities():
    backbone = build_backbone("resnet18").eval()
    features = torch.rand(1, 64, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(backbone.layer1(features), features)


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "convnext_atto", "swinv2_tiny_window8_256"])
def test_any_timm_model_is_a_backbone(name):
    backbone = build_backbone(name, in_channels=2).eval()
    size = 256 if "swin" in name else 64
    with torch.no_grad():
        features = backbone(torch.zeros(1, 2, size, size))
    assert tuple(f.shape[1] for f in features) == backbone.channels
    assert tuple(size // f.shape[2] for f in features) == backbone.strides
    assert list(backbone.strides) == sorted(set(backbone.strides))


def test_an_unknown_model_names_the_nearest():
    with pytest.raises(
        UnknownNameError, match=r"no backbone named 'convnext_atoo' \(did you mean 'convnext_atto'"
    ):
        build_backbone("convnext_atoo")


def test_a_model_that_cannot_be_dilated_says_so():
    with pytest.raises(ConfigError, match="has no feature maps at output stride 8"):
        build_backbone("swinv2_tiny_window8_256", output_stride=8)
