import pytest

from limner.networks import build_network
from limner.networks.mask2former import ENTRY, Mask2FormerOptions
from limner.networks.weightless import weightless
from limner.weights.sources.queries.mask2former_shape import read_shape


@pytest.mark.parametrize("variant", ENTRY.variants)
@pytest.mark.parametrize("norm", ["trained", "frozen"])
def test_every_published_variant_is_told_from_its_shapes(variant, norm):
    options = dict(ENTRY.variants[variant]) | {"backbone_norm": norm}
    with weightless():
        network = build_network("mask2former", num_classes=19, in_channels=4, **options)
    shape = read_shape(network.state_dict(), heads=8, where="it")
    expected = Mask2FormerOptions(**options)
    if expected.backbone.startswith("swin"):  # which has no batch norm
        expected = expected.model_copy(update={"backbone_norm": "trained"})
    assert Mask2FormerOptions(**shape.options) == expected
    assert (shape.num_classes, shape.in_channels) == (19, 4)


def test_unusual_numbers_are_told_too():
    options = {
        "backbone": "swin_base_patch4_window7_224",
        "channels": 96,
        "num_queries": 7,
        "heads": 4,
        "points": 3,
        "pixel_layers": 2,
        "pixel_feedforward": 40,
        "decoder_layers": 1,
        "decoder_feedforward": 24,
    }
    with weightless():
        network = build_network("mask2former", num_classes=2, **options)
    assert read_shape(network.state_dict(), heads=4, where="it").options == options
