"""JPEG in memory: what another library makes of the same quality, how often, and what has no JPEG."""

import io

import numpy as np
import pytest
from PIL import Image

from limner.core.errors import ConfigError
from limner.core.sample import Sample
from limner.transforms.jpeg_compression import JpegCompression, JpegParams


def picture(channels: int) -> np.ndarray:
    """Return blocks of strong colours, of which order of channels and quality change much."""
    blocks = np.random.default_rng(0).integers(0, 256, (6, 8, channels), dtype=np.uint8)
    return blocks.repeat(12, 0).repeat(12, 1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [30, 90])
def test_it_is_what_pillow_makes_of_it(channels, quality) -> None:
    image = picture(channels)
    file = io.BytesIO()
    Image.fromarray(image if channels == 3 else image[..., 0]).save(file, "JPEG", quality=quality)
    expected = np.asarray(Image.open(file)).reshape(image.shape).astype(int)
    found = JpegCompression(30).apply(Sample("a", image), JpegParams(quality)).image
    assert (found.dtype, found.shape) == (np.uint8, image.shape)
    assert np.abs(found - expected).mean() < 0.5
    assert np.abs(found - image.astype(int)).mean() > 0.3


def test_half_of_the_images_are_compressed_at_any_quality_from_the_lowest() -> None:
    rng, sample = np.random.default_rng(0), Sample("a", picture(3))
    drawn = [JpegCompression(30).draw(rng, sample).quality for _ in range(1500)]
    qualities = [quality for quality in drawn if quality is not None]
    assert len(qualities) == pytest.approx(750, abs=80)  # a deviation of 19
    assert (min(qualities), max(qualities)) == (30, 100)
    assert JpegCompression(30).apply(sample, JpegParams()) is sample


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (np.zeros((4, 4, 3), np.uint16), "uint16 values in 3 channels"),
        (np.zeros((4, 4, 1), np.float32), "float32 values in 1 channel"),
        (np.zeros((4, 4, 5), np.uint8), "uint8 values in 5 channels"),
    ],
)
def test_what_has_no_jpeg_is_refused_even_where_nothing_is_drawn(image, found) -> None:
    with pytest.raises(ConfigError, match=f"(?s)augment.jpeg.*cell7.*{found}.*Set augment.jpeg to null"):
        JpegCompression(30).apply(Sample("cell7", image), JpegParams())
