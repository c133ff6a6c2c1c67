"""JPEGs that are decoded at a part of their size."""

import cv2
import numpy as np
import pytest
from PIL import Image

from limner.core.errors import DataError
from limner.images.read_image import at_full_size, read_image


def smooth(height: int, width: int, channels: int = 3) -> np.ndarray:
    small = np.random.default_rng(0).integers(0, 256, (height // 16, width // 16, channels), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, channels)


def save_jpeg(path, pixels, orientation=1):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels.squeeze()).save(path, quality=95, exif=exif)
    return path


def means_of_squares(pixels, side):
    height, width, channels = pixels.shape
    return pixels.reshape(height // side, side, width // side, side, channels).mean((1, 3))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_pixel_is_about_the_mean_of_a_square(tmp_path, factor, channels):
    path = save_jpeg(tmp_path / "a.jpg", smooth(64, 96, channels))
    found = read_image(path, reduce=lambda height, width: factor)
    expected = means_of_squares(read_image(path).array, factor)
    assert found.array.shape == expected.shape and found.array.dtype == np.uint8
    assert (found.reduction, found.size) == (factor, (64, 96))
    assert np.abs(found.array - expected).mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_image_is_upright(tmp_path, orientation):
    path, asked = save_jpeg(tmp_path / "a.jpg", smooth(64, 96), orientation), []

    def reduce(height, width):
        asked.append((height, width))
        return 4

    found, whole = read_image(path, reduce=reduce), read_image(path).array
    assert asked == [whole.shape[:2]] == [found.size]
    assert np.abs(found.array - means_of_squares(whole, 4)).mean() < 2


def test_other_files_are_read_at_full_size(tmp_path):
    for name, dtype in (("a.png", np.uint8), ("b.png", np.uint16), ("c.tif", np.uint16)):
        pixels = smooth(64, 96).astype(dtype) * (1 if dtype == np.uint8 else 257)
        cv2.imwrite(str(tmp_path / name), pixels[..., ::-1])
        found = read_image(tmp_path / name, reduce=lambda height, width: 8)
        np.testing.assert_array_equal(found.array, pixels)
        assert (found.reduction, found.size) == (1, (64, 96))


def test_an_image_of_several_files_is_read_at_full_size(tmp_path):
    files = [save_jpeg(tmp_path / f"{name}.jpg", smooth(64, 96, 1)) for name in "ab"]
    found = read_image(*files, reduce=lambda height, width: 2)
    assert found.array.shape == (64, 96, 2) and found.reduction == 1


def test_a_picture_is_read_again_to_be_drawn_on(tmp_path):
    path = save_jpeg(tmp_path / "a.jpg", smooth(64, 96))
    whole, reduced = read_image(path), read_image(path, reduce=lambda height, width: 2)
    np.testing.assert_array_equal(at_full_size(reduced).array, whole.array)
    assert at_full_size(whole) is whole


def test_a_damaged_file_is_refused_as_before(tmp_path):
    path = save_jpeg(tmp_path / "a.jpg", smooth(64, 96))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="cut off"):
        read_image(path, reduce=lambda height, width: 2)
