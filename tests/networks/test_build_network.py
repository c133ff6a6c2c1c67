import pytest
import torch

from limner.core.errors import ConfigError, UnknownNameError
from limner.networks import NETWORKS, build_network
from limner.networks.weightless import weightless


def test_an_unknown_network_names_the_nearest():
    with pytest.raises(
        UnknownNameError, match=r"no network named 'deeplabv3pluss'.*did you mean 'deeplabv3plus'"
    ):
        build_network("deeplabv3pluss", num_classes=2)


def test_an_unknown_option_names_the_nearest_of_that_network():
    with pytest.raises(ConfigError, match=r"(?s)'unet'.*width: unknown key \(did you mean 'widths'\?\)"):
        build_network("unet", num_classes=2, width=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": (8,)}, "widths"),
        ({"widths": (8, 0)}, "widths"),
        ({"norm": "layer"}, "norm"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_an_option_out_of_range_is_named(options, message):
    with pytest.raises(ConfigError, match=message):
        build_network("unet", num_classes=2, **options)


def test_options_may_come_from_yaml_as_lists():
    assert build_network("unet", num_classes=2, widths=[4, 8]).depth == 1


def test_the_wrong_dimensions_name_the_networks_that_have_them():
    with pytest.raises(
        ConfigError, match=r"(?s)'pspnet' cannot be built in 3 dimensions.*unet, unet-centres, unet3d"
    ):
        build_network("pspnet", num_classes=2, spatial_dims=3)
    with pytest.raises(ConfigError, match=r"(?s)'unet3d'.*spatial_dims = 3"):
        build_network("unet3d", num_classes=2, spatial_dims=2)


@pytest.mark.parametrize("number", ["num_classes", "in_channels"])
def test_at_least_one_of_each(number):
    with pytest.raises(ConfigError, match=f"{number} must be 1 or more; found 0"):
        build_network("unet", **{"num_classes": 2, number: 0})


def test_insisting_on_weights_that_nobody_published():
    with pytest.raises(ConfigError, match=r"(?s)no encoder with pretrained weights.*deeplabv3plus"):
        build_network("unet", num_classes=2, pretrained="yes")
    assert build_network("unet", num_classes=2, pretrained="auto", widths=(4, 8))


def test_an_unknown_backbone_names_the_nearest():
    with pytest.raises(UnknownNameError, match=r"did you mean 'resnet50"):
        build_network("encoder-unet", num_classes=2, backbone="resnett50")


def test_every_option_is_documented():
    for name, entry in NETWORKS.items():
        for option, field in entry.options.model_fields.items():
            assert field.description, f"{name}: {option} has no sentence"


@pytest.mark.parametrize(
    ("options", "channels", "dropout"),
    [
        ({}, 128, 0.1),  # a quarter of ResNet-18's
        ({"layout": "segmentation-models-pytorch"}, 256, 0.0),
        ({"layout": "segmentation-models-pytorch", "channels": 32, "dropout": 0.3}, 32, 0.3),
        ({"layout": "paper", "channels": None}, 256, 0.1),
    ],
)
def test_a_layout_of_deeplabv3plus_decides_what_is_not_set(options, channels, dropout):
    with weightless():
        network = build_network("deeplabv3plus", num_classes=3, backbone="resnet18c", **options)
    assert network.head.conv.in_channels == channels
    found = [module.p for module in network.head if isinstance(module, torch.nn.Dropout2d)]
    assert found == ([dropout] if dropout else [])
