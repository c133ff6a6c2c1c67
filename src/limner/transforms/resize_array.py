"""Resizing arrays of any dtype, number of channels and dimensions.

Shape legend: S spatial axes, (H, W) or (D, H, W); C channels. Pixel centres are aligned as OpenCV and
``interpolate(align_corners=False)`` align them: source coordinate = (x + 0.5) * source / size - 0.5.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.picture import Image

AREA_BELOW = 0.5
"""Zoom below which area averaging is used, since linear interpolation would skip pixels and alias."""

AREA_CHANNELS, LINEAR_CHANNELS = 4, 64
"""Number of channels to resize at once. OpenCV's maximum is 4 with INTER_AREA, else 128 (OpenCV 5) or 512."""


def resize_image(image: Image, size: tuple[int, ...]) -> Image:
    """Resize an image linearly, or by area averaging if it shrinks to less than half.

    Args:
        image: (*S, C); may be read-only or strided.
        size: Target size *S.

    Returns:
        (*size, C) in the dtype of `image`; a contiguous copy.
    """
    if image.shape[:-1] == size:
        return np.array(image)
    if len(size) != 2:
        return _resize_separably(image, size)
    zoom = min(new / old for new, old in zip(size, image.shape, strict=False))
    mode = cv2.INTER_AREA if zoom < AREA_BELOW else cv2.INTER_LINEAR
    group = AREA_CHANNELS if mode == cv2.INTER_AREA else LINEAR_CHANNELS

    def resize(part: Image) -> Image:
        resized: Image = np.asarray(cv2.resize(part, size[::-1], interpolation=mode))
        return resized.reshape(*size, part.shape[-1])

    return by_channels(resize, image, group)


def resize_labels(labels: npt.NDArray[Any], size: tuple[int, ...]) -> npt.NDArray[Any]:
    """Resize labels with nearest-neighbour interpolation, which creates no new values.

    Args:
        labels: (*S) uint8 or uint16.
        size: Target size *S.

    Returns:
        (*size) of the same type; a contiguous copy.
    """
    if labels.shape == size:
        return np.array(labels)
    if len(size) == 2:
        # Plain INTER_NEAREST rounds down, which shifts labels against the image by up to half a pixel.
        nearest: npt.NDArray[Any] = np.asarray(
            cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        )
        return nearest
    for axis, new in enumerate(size):
        old = labels.shape[axis]
        labels = labels.take(((np.arange(new) + 0.5) * old / new).astype(np.intp), axis=axis)
    return labels


def by_channels(function: Callable[[Image], Image], image: Image, group: int) -> Image:
    """Apply `function` to `group` channels at a time."""
    channels = image.shape[-1]
    if channels <= group:
        return function(image)
    parts = [image[..., first : first + group] for first in range(0, channels, group)]
    return np.concatenate([function(np.ascontiguousarray(part)) for part in parts], axis=-1)


def _resize_separably(image: Image, size: tuple[int, ...]) -> Image:
    """Resize volumes linearly, one axis at a time; OpenCV has no function for them."""
    result: npt.NDArray[Any] = image.astype(np.float32)
    for axis, new in enumerate(size):
        old = result.shape[axis]
        if new == old:
            continue
        centre = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        low = centre.astype(np.intp)
        high = np.minimum(low + 1, old - 1)
        part = (centre - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(result.ndim)])
        result = result.take(low, axis=axis) * (1 - part) + result.take(high, axis=axis) * part
    return as_dtype(result, image.dtype)


def as_dtype(values: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Convert float `values` to `dtype`; rounded and clipped to the range of integer types."""
    if not np.issubdtype(dtype, np.integer):
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    clipped: npt.NDArray[Any] = np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
    return clipped
