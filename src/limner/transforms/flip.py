"""Random mirroring of images and volumes along given axes."""

from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.sample import Sample
from limner.core.targets import Move, Points

ArrayT = TypeVar("ArrayT", bound=npt.NDArray[Any])

CV2_MAX_CHANNELS = 128
"""Maximum number of channels in `cv2.flip`: OpenCV 5 interprets more as another dimension and fails."""


@dataclass(frozen=True)
class FlipParams:
    """Parameters of `Flip`.

    Attributes:
        axes: Spatial axes to mirror, in ascending order; may be empty.
    """

    axes: tuple[int, ...]


@dataclass(frozen=True)
class Flip:
    """Mirror each of `axes` independently with probability 0.5.

    Attributes:
        axes: Spatial axes in the order of the array: 0 is up-down and 1 left-right in (H, W).
    """

    axes: tuple[int, ...] = (1,)

    def draw(self, rng: np.random.Generator, sample: Sample) -> FlipParams:
        """Draw which axes to mirror."""
        coins = rng.random(len(self.axes)) < 0.5
        return FlipParams(tuple(sorted(a for a, heads in zip(self.axes, coins, strict=True) if heads)))

    def apply(self, sample: Sample, params: FlipParams) -> Sample:
        """Mirror image and labels along the drawn axes."""
        if not params.axes:
            return sample
        shape, axes = sample.spatial_shape, params.axes
        move = Move(
            shape,
            labels=lambda array, outside: mirrored(array, axes),
            points=lambda points: mirrored_points(points, axes, shape),
        )
        return sample.moved(move, mirrored(sample.image, axes), sample.spacing_mm)


def mirrored(array: ArrayT, axes: tuple[int, ...]) -> ArrayT:
    """Return `array` mirrored along `axes`, contiguous: (H, W[, C]) or (D, H, W[, C])."""
    planar = array.ndim == 2 or (array.ndim == 3 and array.shape[2] <= CV2_MAX_CHANNELS and max(axes) < 2)
    if not planar:
        return np.ascontiguousarray(np.flip(array, axes))  # type: ignore[return-value]
    # OpenCV mirrors a row 40 times faster than numpy copies a negative stride.
    turned = cv2.flip(array, -1 if len(axes) == 2 else axes[0])
    return turned.reshape(array.shape)  # type: ignore[return-value]


def mirrored_points(points: Points, axes: tuple[int, ...], shape: tuple[int, ...]) -> Points:
    """Return points (P, D) of an image of `shape` mirrored along `axes`."""
    moved: Points = points.copy()
    for axis in axes:
        column = len(shape) - 1 - axis
        moved[:, column] = shape[axis] - moved[:, column]
    return moved
