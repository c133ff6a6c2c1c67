import numpy as np
import pytest

from limner.drawing.display import display_image, resize_picture


def ramp(dtype, high):
    return np.linspace(0, high, 64 * 64).reshape(64, 64, 1).astype(dtype)


def test_an_ordinary_picture_is_shown_as_it_is():
    picture = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    np.testing.assert_array_equal(display_image(picture), picture)
    np.testing.assert_array_equal(display_image(np.dstack([picture, picture[..., :1]])), picture)


@pytest.mark.parametrize(
    "image",
    [
        ramp(np.uint8, 255),
        ramp(np.uint8, 20),  # too dark to see
        ramp(np.uint16, 4095),
        ramp(np.int16, 1000) - 500,
        ramp(np.float32, 1),
        ramp(np.float64, 1e9),
        np.repeat(ramp(np.uint16, 65535), 5, -1),
    ],
    ids=lambda image: f"{image.dtype}-{image.max()}",
)
def test_every_number_type_fills_the_range_of_the_eye(image):
    shown = display_image(image)
    assert shown.dtype == np.uint8 and shown.shape == (64, 64, 3)
    assert shown.min() <= 2 and shown.max() >= 253
    assert (np.diff(shown[..., 0].ravel().astype(int)) >= 0).all()


def test_a_dark_image_with_a_few_bright_pixels_is_stretched():
    image = np.full((100, 100), 10, np.uint8)
    image[:, 50:] = 30
    image[0, :10] = 255
    assert display_image(image)[50, 60, 0] > 200


def test_constant_and_broken_values_do_no_harm():
    assert display_image(np.full((4, 4, 1), 7, np.uint16)).shape == (4, 4, 3)
    broken = ramp(np.float32, 1)
    broken[0, 0], broken[1, 1] = np.nan, np.inf
    assert display_image(broken).max() >= 253


def test_resizing_keeps_the_range():
    picture = np.zeros((10, 20, 3), np.uint8)
    picture[:, 10:] = 255
    for size in ((5, 10), (30, 60)):
        resized = resize_picture(picture, size)
        assert resized.shape == (*size, 3) and resized[0, 0, 0] == 0 and resized[0, -1, 0] == 255
    assert resize_picture(picture, (10, 20)) is picture
