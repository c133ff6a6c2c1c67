"""Normalisation of an image by its own values, for MR and other images whose values have no unit."""

import numpy as np

from limner.core.picture import Image

SMALLEST_DEVIATION = 1e-6
"""Channels of one value are only shifted to 0."""


def normalize_each(image: Image) -> Image:
    """Return the image with mean 0 and standard deviation 1 in each channel.

    Args:
        image: (*spatial, C) in file values.

    Returns:
        (*spatial, C) float32.
    """
    axes = tuple(range(image.ndim - 1))
    values = image.astype(np.float32)
    # Sums of millions of float32 need float64.
    values -= values.mean(axis=axes, dtype=np.float64).astype(np.float32)
    deviation = np.sqrt(np.square(values).mean(axis=axes, dtype=np.float64))
    values /= np.where(deviation > SMALLEST_DEVIATION, deviation, 1).astype(np.float32)
    return values
