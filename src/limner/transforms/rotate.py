"""Random rotations by any angle up to a limit, around the middle of the image.

Shape legend: H, W height and width; C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.picture import Image
from limner.core.sample import Sample
from limner.core.targets import Array, Move, Points
from limner.transforms.resize_array import AREA_CHANNELS, as_dtype, by_channels

Matrix = npt.NDArray[np.float64]
"""(2, 3) of x, y, 1."""


@dataclass(frozen=True)
class RotateParams:
    """Parameters of `Rotate`.

    Attributes:
        degrees: Angle, counter-clockwise.
    """

    degrees: float


@dataclass(frozen=True)
class Rotate:
    """Rotate images by an angle drawn uniformly; the size stays, so that corners are cut and empty.

    For targets of points, such as words. Boxes would no longer be around their objects.

    Attributes:
        limit: Maximum angle in degrees, in either direction.
        fill: Value of pixels from outside the image, per channel or one for all, in image values; in label
            maps they are ignored.
    """

    limit: float
    fill: Sequence[float] | float = 0.0

    def draw(self, rng: np.random.Generator, sample: Sample) -> RotateParams:
        """Draw the angle."""
        return RotateParams(float(rng.uniform(-self.limit, self.limit)))

    def apply(self, sample: Sample, params: RotateParams) -> Sample:
        """Rotate image and labels."""
        if params.degrees == 0:
            return sample
        height, width = sample.spatial_shape
        matrix = rotation_of(params.degrees, (height, width))

        def labels(array: Array, outside: int) -> Array:
            return _warped(array, _of_pixels(matrix), cv2.INTER_NEAREST, outside)

        move = Move((height, width), labels, points=lambda points: moved_points(points, matrix))
        return sample.moved(move, self._image(sample.image, _of_pixels(matrix)), sample.spacing_mm)

    def _image(self, image: Image, matrix: Matrix) -> Image:
        fill = as_dtype(np.broadcast_to(np.asarray(self.fill, np.float64), image.shape[-1:]), image.dtype)

        def rotate(part: Image) -> Image:
            # Pixels at the border are repeated, so that none is mixed with the filling.
            turned = _warped(part, matrix, cv2.INTER_LINEAR)
            return turned.reshape(*image.shape[:2], part.shape[-1])

        rotated = by_channels(rotate, image, AREA_CHANNELS)
        inside = _warped(np.ones(image.shape[:2], np.uint8), matrix, cv2.INTER_NEAREST, 0) > 0
        rotated[~inside] = fill
        return rotated


def rotation_of(degrees: float, shape: tuple[int, int]) -> Matrix:
    """Return the map of points x, y of an image (H, W) that rotates it counter-clockwise, as it is seen."""
    angle = np.deg2rad(degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, sine], [-sine, cosine]])
    middle = np.array([shape[1] / 2, shape[0] / 2])
    return np.concatenate([turn, (middle - turn @ middle)[:, None]], axis=1)


def moved_points(points: Points, matrix: Matrix) -> Points:
    """Return points (P, 2) under a map."""
    moved: Points = points @ matrix[:, :2].T + matrix[:, 2]
    return moved


def _of_pixels(matrix: Matrix) -> Matrix:
    """Return the map for OpenCV, in which the middle of pixel 0 is at 0 instead of 0.5."""
    shifted: Matrix = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    return shifted


def _warped(
    array: npt.NDArray[Any], matrix: Matrix, mode: int, outside: float | None = None
) -> npt.NDArray[Any]:
    """Return an array (H, W) or (H, W, C) under a map, with a value outside or its border repeated."""
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    size = (array.shape[1], array.shape[0])
    warped: npt.NDArray[Any] = np.asarray(
        cv2.warpAffine(array, matrix, size, flags=mode, borderMode=border, borderValue=outside or 0)
    )
    return warped
