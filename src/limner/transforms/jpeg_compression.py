"""Random JPEG compression, so that networks do not depend on the fine detail and the colours that it loses.

As in Wang et al., CNN-generated images are surprisingly easy to spot... for now (CVPR 2020,
https://arxiv.org/abs/1912.11035), half of the images are compressed, at a quality drawn uniformly; there from
30 to 100.

Shape legend: H, W image size, C channels.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from limner.core.errors import ConfigError, describe
from limner.core.picture import Image
from limner.core.sample import Sample
from limner.core.wording import channel_words

COMPRESSED = 0.5
"""Fraction of the images that are compressed."""

BEST = 100
"""Highest quality of a JPEG file."""


@dataclass(frozen=True)
class JpegParams:
    """Parameters of `JpegCompression`.

    Attributes:
        quality: Quality of the file, 1 to 100; None compresses nothing.
    """

    quality: int | None = None


@dataclass(frozen=True)
class JpegCompression:
    """Write some 2D images as JPEG in memory, and read them again; labels stay as they are.

    Attributes:
        lowest: Lowest quality, 1 to 100.
    """

    lowest: int

    def draw(self, rng: np.random.Generator, sample: Sample) -> JpegParams:
        """Draw the quality."""
        quality = int(rng.integers(self.lowest, BEST + 1))
        return JpegParams(quality if rng.random() < COMPRESSED else None)

    def apply(self, sample: Sample, params: JpegParams) -> Sample:
        """Return the sample with its image compressed.

        Raises:
            ConfigError: The image has other values than those of JPEG files.
        """
        _check(sample)
        if params.quality is None:
            return sample
        return replace(sample, image=_compressed(sample.image, params.quality))


def _check(sample: Sample) -> None:
    dtype, channels = sample.image.dtype, sample.image.shape[-1]
    if dtype != np.uint8 or channels not in (1, 3):
        raise ConfigError(
            describe(
                "augment.jpeg is for images as JPEG files hold them",
                where=sample.name,
                found=f"{dtype} values in {channel_words(channels)}",
                expected="uint8 values in 1 or 3 channels, as they are when they are augmented",
                fix="Set augment.jpeg to null.",
            )
        )


def _compressed(image: Image, quality: int) -> Image:
    """Return an image (H, W, C) as a JPEG file shows it."""
    # OpenCV takes blue first; what is lost of colours depends on it.
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, coded = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), options)
    mode = cv2.IMREAD_GRAYSCALE if image.shape[-1] == 1 else cv2.IMREAD_COLOR
    decoded = np.asarray(cv2.imdecode(coded, mode)).reshape(image.shape)
    return np.ascontiguousarray(decoded[..., ::-1])
