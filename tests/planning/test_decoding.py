"""When JPEGs are decoded at a part of their size."""

from dataclasses import replace

import pytest

from limner.core.errors import ConfigError
from limner.core.plan import ResizePlan
from limner.planning.decisions import decide
from limner.planning.rules import RULES
from limner.planning.settings import default_values
from limner.planning.unused_settings import refuse_unused_settings

QUARTER = ResizePlan(shortest=128)


@pytest.fixture
def make_photos(make_case, make_facts):
    """Makes the case of images of 1024 x 512 pixels of a kind of file."""

    def make(suffix):
        facts = make_facts(shape=(512, 1024))
        images = tuple(replace(image, image_file=f"images/{image.name}{suffix}") for image in facts.images)
        return make_case(replace(facts, images=images))

    return make


def decided(case, **user):
    return decide(case, RULES, {key.replace("__", "."): value for key, value in user.items()})


@pytest.mark.parametrize(("suffix", "expected"), [(".jpg", True), (".JPEG", True), (".png", None)])
def test_images_that_shrink_to_a_quarter_are_decoded_so(make_photos, suffix, expected):
    settled, reasons = decided(make_photos(suffix), input__resize=QUARTER)
    assert settled["input.reduced_decoding"] is expected
    if expected:
        assert "shrinks the median image 4.0 times" in reasons["input.reduced_decoding"]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"input__resize": ResizePlan(shortest=129)},
        {"input__resize": QUARTER, "augment__scale": (0.5, 2.1)},
        {"input__resize": QUARTER, "augment__scale_of": "fit"},
        {"input__resize": QUARTER, "input__normalize_each": True},
        {"input__resize": QUARTER, "input__reduced_decoding": False},
    ],
    ids=str,
)
def test_others_are_decoded_at_full_size(make_photos, settings):
    settled, _ = decided(make_photos(".jpg"), **settings)
    assert not settled["input.reduced_decoding"]


def test_the_setting_is_refused_where_it_does_nothing():
    settled = default_values() | {"input.reduced_decoding": True}
    with pytest.raises(ConfigError, match=r"reduced_decoding is a part of input\.resize"):
        refuse_unused_settings({"input.reduced_decoding": True}, settled)
    settled |= {"input.resize": QUARTER, "augment.crop_area": (0.1, 1.0)}
    with pytest.raises(ConfigError, match=r"reduced_decoding has no effect with augment\.crop_area"):
        refuse_unused_settings({"input.reduced_decoding": True}, settled)
