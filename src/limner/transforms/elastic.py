"""Elastic deformation: control points on a grid are moved at random, and a smooth map follows them.

Papers: U-Net (Ronneberger et al., MICCAI 2015, https://arxiv.org/abs/1505.04597) moves control points of 2D
images with a standard deviation of 10 pixels; 3D U-Net (Cicek et al., MICCAI 2016,
https://arxiv.org/abs/1606.06650) those of volumes, 32 voxels apart, with a deviation of 4 voxels and cubic
B-splines between them, as here for both.

What differs, and why: no control point moves by more than 0.4 times their distance, so that nothing is folded
over or torn: then every place in the image comes from one place of the original (Choi and Lee, Injectivity
conditions of 2D and 3D uniform cubic B-spline functions, Graphical Models 2000).

Shape legend: S spatial axes, D their number, P places, n control points along an axis.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.picture import Image
from limner.core.sample import Sample
from limner.core.targets import Array, Move, Points
from limner.transforms.resample_volume import spline_kernel
from limner.transforms.resize_array import AREA_CHANNELS, as_dtype, by_channels

MOST_MOVED = 0.4
"""Largest movement of a control point along an axis, relative to their distance; the limit of injective maps
is 0.48 in 2D and 0.40 in 3D."""

MOST_ROUNDS, CLOSE = 200, 1e-6
"""Rounds in which the place of a point is sought, and the change in pixels at which it is found."""

Places = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bend:
    """One deformation; the same numbers always give the same map.

    A pixel of the deformed image shows what was at its own place plus the displacement there.

    Attributes:
        seed: Seed of the movements.
        deviation: Standard deviation of the movements of control points along each axis, in pixels.
        distance: Distance between control points in pixels.
        still_axis: Axis along which nothing moves, or None.
    """

    seed: int
    deviation: float
    distance: int
    still_axis: int | None = None

    def controls(self, shape: Sequence[int]) -> npt.NDArray[np.float64]:
        """Return the movements (D, *n) of the control points of an image of a shape (*S)."""
        counts = [-(-side // self.distance) + 3 for side in shape]
        drawn = np.random.default_rng(self.seed).standard_normal((len(counts), *counts)) * self.deviation
        most = MOST_MOVED * self.distance
        moved = np.clip(drawn, -most, most)
        if self.still_axis is not None:
            moved[self.still_axis] = 0
        return np.asarray(moved)

    def field(self, shape: Sequence[int]) -> npt.NDArray[np.float64]:
        """Return the displacement (D, *S) in pixels at the middle of each pixel."""
        field = self.controls(shape)
        for axis, side in enumerate(shape, start=1):
            weights = self._weights(np.arange(side, dtype=np.float64) + 0.5, side)
            field = np.moveaxis(np.tensordot(weights, field, axes=(1, axis)), 0, axis)
        return field

    def undone(self, places: Places, shape: Sequence[int]) -> Places:
        """Return the places in the deformed image that show some places of the original.

        Args:
            places: (P, D), axes as in the array; pixel 0 covers 0 to 1.
            shape: (*S) of the image.
        """
        controls, found = self.controls(shape), places
        for _ in range(MOST_ROUNDS):
            before = found
            found = (before + places - self._displacements(controls, before, shape)) / 2
            if np.abs(found - before).max(initial=0) < CLOSE:
                break
        return found

    def _displacements(
        self, controls: npt.NDArray[np.float64], places: Places, shape: Sequence[int]
    ) -> Places:
        """Return the displacement (P, D) at any places; outside the image, that at its edge."""
        mixed = np.broadcast_to(controls, (len(places), *controls.shape))
        for axis, side in enumerate(shape):
            weights = self._weights(np.clip(places[:, axis], 0, side), side)
            mixed = np.einsum("pn,pdn...->pd...", weights, mixed)
        return np.asarray(mixed)

    def _weights(self, places: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
        """Return the weight (P, n) of each control point along one axis; the first is before the image."""
        numbers = np.arange(-(-side // self.distance) + 3) - 1
        return spline_kernel(np.abs(places[:, None] / self.distance - numbers))


@dataclass(frozen=True)
class Elastic:
    """Deform some of the images (2D); their size stays.

    For boxes, see `Boxes.moved`; outlines of words keep straight sides.

    Attributes:
        deviation: As of `Bend`.
        distance: As of `Bend`.
        probability: Fraction of images that are deformed.
        fill: Value of pixels from outside the image, per channel or one for all, in image values; in label
            maps they are ignored.
    """

    deviation: float
    distance: int = 32
    probability: float = 1.0
    fill: Sequence[float] | float = 0.0

    def draw(self, rng: np.random.Generator, sample: Sample) -> Bend | None:
        """Draw the deformation, or None for none."""
        return draw_bend(rng, self.deviation, self.distance, self.probability)

    def apply(self, sample: Sample, params: Bend | None) -> Sample:
        """Deform image and targets."""
        if params is None:
            return sample
        bend, shape = params, sample.spatial_shape
        y, x = bend.field(shape) + np.mgrid[: shape[0], : shape[1]] + 0.5
        rows, columns = np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)
        inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])

        def labels(array: Array, outside: int) -> Array:
            moved = np.full(array.shape, outside, array.dtype)
            moved[inside] = array[rows[inside], columns[inside]]
            return moved

        def points(before: Points) -> Points:
            return bend.undone(before[:, ::-1], shape)[:, ::-1]

        image = _interpolated(sample.image, y, x)
        fill = np.broadcast_to(np.asarray(self.fill, np.float64), image.shape[-1:])
        image[~inside] = as_dtype(fill, image.dtype)
        return sample.moved(Move(shape, labels, points), image, sample.spacing_mm)


def draw_bend(
    rng: np.random.Generator,
    deviation: float,
    distance: int,
    probability: float,
    still_axis: int | None = None,
) -> Bend | None:
    """Draw a deformation with a probability, else return None."""
    seed = int(rng.integers(1 << 32))
    return Bend(seed, deviation, distance, still_axis) if rng.random() < probability else None


def _interpolated(image: Image, y: Places, x: Places) -> Image:
    """Return the values of an image at some places, (H, W, C)."""
    # For OpenCV the middle of pixel 0 is at 0 instead of 0.5.
    at = (x - 0.5).astype(np.float32), (y - 0.5).astype(np.float32)
    known = image.dtype in (np.uint8, np.uint16, np.float32)

    def move(part: Image) -> Image:
        pixels = np.ascontiguousarray(part if known else part.astype(np.float32))
        moved = cv2.remap(pixels, *at, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return as_dtype(np.asarray(moved).reshape(part.shape), image.dtype)

    return by_channels(move, image, AREA_CHANNELS)
