"""Random rotations by multiples of 90 degrees, for images whose orientation is meaningless."""

from dataclasses import dataclass

import cv2
import numpy as np

from limner.core.sample import Sample
from limner.core.targets import Move, Points
from limner.transforms.flip import ArrayT, mirrored

OPENCV_PIXEL_BYTES = frozenset({1, 2, 3, 4, 6, 8, 12, 16, 24, 32})
"""Bytes per pixel that OpenCV can transpose, ten times faster than numpy; 5 channels, for instance, fail."""

OPENCV_TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 3: cv2.ROTATE_90_CLOCKWISE}


@dataclass(frozen=True)
class QuarterTurnParams:
    """Parameters of `QuarterTurn`.

    Attributes:
        quarters: Number of counter-clockwise quarter turns, 0 to 3.
    """

    quarters: int


@dataclass(frozen=True)
class QuarterTurn:
    """Rotate in the plane of the last two spatial axes by 0, 90, 180 or 270 degrees, with equal probability.

    Crops that are not square are rotated by 0 or 180 degrees, so that samples of a batch have the same size.
    """

    def draw(self, rng: np.random.Generator, sample: Sample) -> QuarterTurnParams:
        """Draw the number of quarter turns."""
        first, second = sample.spatial_shape[-2:]
        return QuarterTurnParams(int(rng.integers(4)) if first == second else 2 * int(rng.integers(2)))

    def apply(self, sample: Sample, params: QuarterTurnParams) -> Sample:
        """Rotate image and labels."""
        if params.quarters % 4 == 0:
            return sample
        shape, quarters = sample.spatial_shape, params.quarters % 4
        first = len(shape) - 2
        move = Move(
            (*shape[:-2], shape[-1], shape[-2]) if quarters % 2 else shape,
            labels=lambda array, outside: turned(array, first, quarters),
            points=lambda points: turned_points(points, quarters, shape),
        )
        spacing = sample.spacing_mm
        if spacing is not None and quarters % 2:
            spacing = (*spacing[:-2], spacing[-1], spacing[-2])
        return sample.moved(move, turned(sample.image, first, quarters), spacing)


def turned(array: ArrayT, first: int, quarters: int) -> ArrayT:
    """Return `array` rotated by `quarters` quarter turns in the plane of axes `first` and `first + 1`."""
    plane = (first, first + 1)
    if quarters % 4 == 2:
        return mirrored(array, plane)
    pixel_bytes = array.itemsize * (array.shape[2] if array.ndim == 3 else 1)
    if first == 0 and pixel_bytes in OPENCV_PIXEL_BYTES:
        return np.asarray(
            cv2.rotate(array, OPENCV_TURNS[quarters % 4])
        ).reshape(  # type: ignore[return-value]
            array.shape[1], array.shape[0], *array.shape[2:]
        )
    return np.ascontiguousarray(np.rot90(array, quarters, plane))  # type: ignore[return-value]


def turned_points(points: Points, quarters: int, shape: tuple[int, ...]) -> Points:
    """Return points (P, D) of an image of `shape` after `quarters` quarter turns in its last two axes."""
    moved: Points = points.copy()
    first, second = shape[-2:]
    for _ in range(quarters):
        moved[:, 0], moved[:, 1] = moved[:, 1].copy(), second - moved[:, 0]
        first, second = second, first
    return moved
