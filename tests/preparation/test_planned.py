import pytest

from limner.core.errors import UnknownNameError
from limner.preparation.planned import with_shorthands


def test_a_network_may_be_named_with_its_variant():
    assert with_shorthands({}, network="unet") == {"network": {"name": "unet"}}
    wanted = with_shorthands({"network": {"options": {"channels": 8}}}, network="pspnet/resnet18c")
    assert wanted["network"] == {"name": "pspnet", "options": {"backbone": "resnet18c", "channels": 8}}


def test_an_option_that_is_set_wins_over_the_variants():
    settings = {"network": {"name": "unet", "options": {"backbone": "resnet34c"}}}
    wanted = with_shorthands(settings, network="pspnet/resnet18c")
    assert wanted["network"] == {"name": "pspnet", "options": {"backbone": "resnet34c"}}


def test_a_variant_that_does_not_exist_is_refused():
    with pytest.raises(UnknownNameError, match=r"variant of pspnet.*did you mean 'resnet18c'"):
        with_shorthands({}, network="pspnet/resnet18")
