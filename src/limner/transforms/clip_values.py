"""Clipping of values that have one unit in all images, such as those of CT."""

from collections.abc import Sequence

import numpy as np

from limner.core.picture import Image


def clip_values(image: Image, clip: Sequence[tuple[float, float]] | None) -> Image:
    """Return the image with values beyond the range of their channel set to its ends.

    Args:
        image: (*spatial, C) in file values.
        clip: Lowest and highest value of each channel, or None for the image itself. Further pairs are
            those of channels that the image does not have yet: of neighbouring slices.

    Returns:
        (*spatial, C) of the same type.
    """
    if clip is None:
        return image
    low, high = np.array(clip[: image.shape[-1]], np.float64).T
    clipped: Image = np.clip(image, low.astype(image.dtype), high.astype(image.dtype))
    return clipped
