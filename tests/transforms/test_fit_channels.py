import numpy as np
import pytest

from limner.core.errors import DataError
from limner.core.plan import InputPlan
from limner.transforms.fit_channels import fit_channels


def plan(channels, spatial_dims=2):
    return InputPlan(
        spatial_dims=spatial_dims,
        channels=channels,
        crop_size=(64,) * spatial_dims,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
    )


def image(*shape):
    return np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)


def test_grey_is_repeated_for_a_colour_model():
    grey = image(4, 5)
    for given in (grey, grey[..., None], np.stack([grey, grey * 0], -1)):  # the last has an alpha channel
        np.testing.assert_array_equal(fit_channels(given, plan(3), where="x"), np.stack([grey] * 3, -1))


def test_alpha_is_dropped_and_equal_channels_pass():
    rgba = image(4, 5, 4)
    np.testing.assert_array_equal(fit_channels(rgba, plan(3), where="x"), rgba[..., :3])
    assert fit_channels(rgba, plan(4), where="x") is rgba


def test_a_grey_picture_stored_as_colour_fits_a_grey_model():
    grey = image(4, 5, 1)
    np.testing.assert_array_equal(fit_channels(np.repeat(grey, 3, -1), plan(1), where="x"), grey)


@pytest.mark.parametrize(
    ("given", "wanted", "words"),
    [
        (image(4, 5, 3), plan(1), ["a.png", "3 channels", "1 channel", "grey"]),
        (image(4, 5, 3), plan(4), ["a.png", "3 channels", "4 channels", "same order"]),
        (image(4, 5, 7), plan(3), ["7 channels"]),
        (image(4, 5, 6, 1), plan(1), ["shape (4, 5, 6, 1)", "2 spatial axes"]),
        (image(4, 5, 1)[..., 0], plan(2, 3), ["not have the dimensions", "3 spatial axes"]),
        (image(0, 5, 3), plan(3), ["shape (0, 5, 3)"]),
        (np.full((2, 2, 3), np.nan, np.float32), plan(3), ["12 NaN"]),
    ],
)
def test_what_would_need_guessing_is_refused_with_the_reason(given, wanted, words):
    with pytest.raises(DataError) as error:
        fit_channels(given, wanted, where="a.png")
    for word in words:
        assert word in str(error.value)
