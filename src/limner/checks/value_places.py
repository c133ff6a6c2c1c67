"""Whether a mask value is at the same place and of the same size in all images, as classes are.

Legend: n values of images (each value of each image is one), I images, V values.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limner.checks.facts import ImageFacts

MOST_IMAGES = 60
"""Maximum number of images that are compared, spread over all."""

MIN_SPREAD = 1e-9
"""Least variance of places or sizes; below it all are alike, which tells nothing."""


@dataclass(frozen=True)
class Sameness:
    """How far mask values mean the same in all images.

    Both are variances relative to that within an image: near 0 if a value is always at the same place (or of
    the same size) relative to the other values of its image, 1 if it may be anywhere.

    Attributes:
        place: Of the position.
        size: Of the logarithm of the area; 1 if all areas are equal.
        freedom: Degrees of freedom behind them: the values of images beyond those that a place for each value
            and a shift for each image explain.
    """

    place: float
    size: float
    freedom: int


def sameness(images: Sequence[ImageFacts]) -> Sameness | None:
    """Compare the values other than 0 of images; None if too few values are in several images."""
    chosen = [images[i] for i in np.linspace(0, len(images) - 1, min(len(images), MOST_IMAGES)).astype(int)]
    rows = [
        (index, value, *center, np.log(image.value_counts[value]))
        for index, image in enumerate(chosen)
        for value, center in image.value_centers.items()
        if value and value in image.value_counts
    ]
    if not rows:
        return None
    table = np.array(rows, np.float64)
    of_images, of_values = (_indicators(table[:, column]) for column in (0, 1))
    measured = table[:, 2:]  # (n, 3): down, right, size
    within, freedom_within = _unexplained(of_images, measured)
    left, freedom = _unexplained(np.hstack([of_images, of_values]), measured)
    if freedom < 1:
        return None
    within, left = within / freedom_within, left / freedom
    place, size = (
        float(left[part].sum() / within[part].sum()) if within[part].sum() > MIN_SPREAD else 1.0
        for part in (slice(0, 2), slice(2, 3))
    )
    return Sameness(place, size, freedom)


def _indicators(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return (n, number of different ones): 1 where a row has the number, else 0."""
    found, place = np.unique(numbers, return_inverse=True)
    return np.eye(len(found))[place]


def _unexplained(
    causes: npt.NDArray[np.float64], measured: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], int]:
    """Return the sums of squares (3,) that a linear model leaves, and their degrees of freedom."""
    solved, _, rank, _ = np.linalg.lstsq(causes, measured, rcond=None)
    return ((measured - causes @ solved) ** 2).sum(0), len(measured) - int(rank)
