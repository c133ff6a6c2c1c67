import pytest
import torch

from limner.core.errors import ConfigError
from limner.networks import build_network

SMALL = {"backbone": "vit_tiny_patch16_224", "num_blocks": 5, "image_size": 64}


def parameters(module):
    return sum(each.numel() for each in module.parameters())


def test_five_blocks_are_tapped_through_a_pyramid():
    options = {"taps": (0, 1, 2, 3, 4), "neck": "fpn", "head": "fcn", "channels": 16, "auxiliary_level": 4}
    network = build_network("vit", num_classes=3, **SMALL, **options)
    # Five 1x1 convolutions from 192 to 16 channels, and five 3x3 ones of 16.
    assert parameters(network.neck) == 5 * (192 * 16 + 16) + 5 * (16 * 16 * 9 + 16)
    outputs = network(torch.zeros(2, 3, 64, 96))
    assert outputs.logits.shape == (2, 3, 4, 6)  # in patches of 16 pixels
    assert [side.logits.shape for side in outputs.auxiliary] == [(2, 3, 4, 6)]


def test_the_pyramid_adds_deeper_maps_to_shallower_ones():
    network = build_network("vit", num_classes=3, **SMALL, taps=(1, 2, 4), neck="fpn", auxiliary=False,
                            channels=192, auxiliary_level=0)  # fmt: skip
    neck = network.neck
    for lateral in neck.laterals:
        torch.nn.init.dirac_(lateral.weight)
        torch.nn.init.zeros_(lateral.bias)
    for conv in neck.convs:
        torch.nn.init.dirac_(conv.weight)
        torch.nn.init.zeros_(conv.bias)
    maps = [torch.full((1, 192, 2, 2), float(value)) for value in (1, 10, 100)]
    assert [level.unique().tolist() for level in neck(tuple(maps))] == [[111.0], [110.0], [100.0]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"taps": (0, 1, 2, 3, 4)}, "neck 'multilevel' needs 4 taps; found 5"),
        ({"taps": (0, 1), "neck": "deconvolution"}, "neck 'deconvolution' needs 4 taps; found 2"),
        ({"auxiliary_level": 4}, "auxiliary_level must be below the number of taps, 4"),
        ({"taps": (0, 2, 2, 3)}, "ascending"),
    ],
)
def test_taps_that_do_not_go_with_the_neck_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        build_network("vit", num_classes=3, **SMALL, **options)
