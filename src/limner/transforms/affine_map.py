"""Moving 2D images and their targets by an affine map, such as a rotation or a shear; the size stays.

Shape legend: H, W image size, C channels, P points.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.picture import Image
from limner.core.sample import Sample
from limner.core.targets import Array, Move, Points
from limner.transforms.resize_array import AREA_CHANNELS, as_dtype, by_channels

Matrix = npt.NDArray[np.float64]
"""(2, 3) from coordinates x, y of the image to those of the moved one; pixel 0 covers 0 to 1."""


def turned_around_middle(
    degrees: float, shape: tuple[int, ...], spacing_mm: Sequence[float] | None = None
) -> Matrix:
    """Return the rotation of an image (H, W) around its middle, counter-clockwise as it is seen.

    Args:
        degrees: The angle.
        shape: (H, W).
        spacing_mm: Height and width of a pixel, for a rotation in space; by default, pixels are squares.
    """
    angle = np.deg2rad(degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    height, width = spacing_mm or (1.0, 1.0)
    linear = np.array([[cosine, sine * height / width], [-sine * width / height, cosine]])
    return around_middle(linear, shape)


def around_middle(linear: npt.NDArray[np.float64], shape: tuple[int, ...]) -> Matrix:
    """Return the map with this linear part (2, 2) that leaves the middle of an image (H, W) where it is."""
    middle = np.array([shape[1] / 2, shape[0] / 2])
    return np.concatenate([linear, (middle - linear @ middle)[:, None]], 1)


def moved_by(sample: Sample, matrix: Matrix, fill: Sequence[float] | float) -> Sample:
    """Move an image and its targets.

    Args:
        sample: A 2D image.
        matrix: Where its pixels go.
        fill: Value of pixels from outside the image, per channel or one for all; in label maps they are
            ignored.
    """
    inverse = np.linalg.inv(np.vstack([matrix, [0.0, 0.0, 1.0]]))[:2]
    rows, columns = np.mgrid[: sample.spatial_shape[0], : sample.spatial_shape[1]] + 0.5
    at = inverse @ np.stack([columns.ravel(), rows.ravel(), np.ones(rows.size)])
    x, y = np.floor(at.reshape(2, *rows.shape)).astype(np.int64)
    inside = (x >= 0) & (x < rows.shape[1]) & (y >= 0) & (y < rows.shape[0])

    def labels(array: Array, outside: int) -> Array:
        moved = np.full(array.shape, outside, array.dtype)
        moved[inside] = array[y[inside], x[inside]]
        return moved

    def points(before: Points) -> Points:
        after: Points = before @ matrix[:, :2].T + matrix[:, 2]
        return after

    move = Move(sample.spatial_shape, labels, points)
    return sample.moved(move, _moved_image(sample.image, matrix, inside, fill), sample.spacing_mm)


def _moved_image(
    image: Image, matrix: Matrix, inside: npt.NDArray[np.bool_], fill: Sequence[float] | float
) -> Image:
    """Return the image under a linear interpolation that mixes no pixel with the filling."""
    # For OpenCV the middle of pixel 0 is at 0 instead of 0.5.
    centred = matrix.copy()
    centred[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    known = image.dtype in (np.uint8, np.uint16, np.float32)

    def move(part: Image) -> Image:
        pixels = np.ascontiguousarray(part if known else part.astype(np.float32))
        size = (image.shape[1], image.shape[0])
        moved = cv2.warpAffine(pixels, centred, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return as_dtype(np.asarray(moved).reshape(part.shape), image.dtype)

    moved = by_channels(move, image, AREA_CHANNELS)
    moved[~inside] = as_dtype(np.broadcast_to(np.asarray(fill, np.float64), image.shape[-1:]), image.dtype)
    return moved
