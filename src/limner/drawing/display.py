"""Conversion of any image to (H, W, 3) uint8 RGB for display."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.picture import Image

RGBImage = npt.NDArray[np.uint8]
"""(H, W, 3) uint8 RGB."""

DARK = 64
"""A uint8 image with 99.5 % of its values below this is stretched, since it would look black."""


@dataclass(frozen=True)
class Tones:
    """Values of an image that are drawn black and white.

    Attributes:
        black: Largest value that is drawn black.
        white: Smallest value that is drawn white.
    """

    black: float
    white: float


BYTES = Tones(0.0, 255.0)
"""Of 8-bit pictures that are drawn as they are."""


def tones_of(image: Image) -> Tones:
    """Return which values of an image to draw black and white, all channels alike.

    8-bit pictures stay as they are unless they are too dark to see. Other types (16-bit, float) are
    stretched so that the 0.5th and 99.5th percentile become black and white.

    Args:
        image: (H, W, C) or (H, W) of any number type.
    """
    values = _sample(_channels(image))
    if values.dtype == np.uint8 and np.percentile(values, 99.5) >= DARK:
        return BYTES
    values = _finite(values)
    low, high = np.percentile(values, (0.5, 99.5))
    if high <= low:
        values = _finite(_channels(image))
        low, high = values.min(), values.max()
    return Tones(float(low), float(high if high > low else low + 1))


def display_image(image: Image, tones: Tones | None = None) -> RGBImage:
    """Return an image for display; its values are changed, so never pass it to a network.

    One channel is shown as grey; of more than three, the first three are red, green and blue.

    Args:
        image: (H, W, C) or (H, W) of any number type; values that are not finite are drawn black.
        tones: The values to draw black and white; defaults to its own, see `tones_of`.
    """
    channels = _channels(image)
    tones = tones or tones_of(image)
    shown = channels if channels.dtype == np.uint8 and tones == BYTES else _stretched(channels, tones)
    return np.ascontiguousarray(shown if shown.shape[-1] == 3 else np.repeat(shown, 3, axis=-1))


def resize_picture(image: RGBImage, size: tuple[int, int]) -> RGBImage:
    """Resize a picture to (H, W): smooth when growing, averaged when shrinking."""
    if image.shape[:2] == size:
        return image
    grows = size[0] * size[1] > image.shape[0] * image.shape[1]
    method = cv2.INTER_CUBIC if grows else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, size[::-1], interpolation=method), np.uint8)


def resize_nearest(labels: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    """Resize labels, or segment ids, to (H, W) with nearest-neighbour interpolation."""
    rows = (np.arange(size[0]) + 0.5) * labels.shape[0] / size[0]
    columns = (np.arange(size[1]) + 0.5) * labels.shape[1] / size[1]
    return labels[np.ix_(rows.astype(int), columns.astype(int))]


def _channels(image: Image) -> Image:
    """Return the (H, W, 1 or 3) channels to draw."""
    if image.ndim == 2:
        image = image[..., None]
    assert image.ndim == 3, f"only 2D images can be drawn, found shape {image.shape}"
    return image[..., :3] if image.shape[-1] >= 3 else image[..., :1]


def _stretched(image: Image, tones: Tones) -> RGBImage:
    scaled = (_finite(image) - np.float32(tones.black)) * np.float32(255 / (tones.white - tones.black))
    return np.asarray(np.clip(scaled, 0, 255) + 0.5, np.float32).astype(np.uint8)


def _finite(image: Image) -> npt.NDArray[np.float32]:
    return np.nan_to_num(image.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def _sample(image: Image) -> Image:
    """Return about 250,000 evenly spaced pixels, which are enough for percentiles."""
    step = max(1, int((image.shape[0] * image.shape[1] / 2**18) ** 0.5))
    return image[::step, ::step]
