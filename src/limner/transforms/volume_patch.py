"""Random patches of volumes, rotated, zoomed and deformed in one step.

Only the box that a patch needs is read from the (possibly memory-mapped) volume. Rotation, zoom and
deformation are one map, so that voxels are interpolated once; most patches have none of them, and are cut out
as they are.

Shape legend: S spatial axes (D, H, W); C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, log, radians, sin

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from limner.core.picture import Image
from limner.core.sample import Sample
from limner.core.targets import Array, Move, Points
from limner.transforms.elastic import Bend, draw_bend
from limner.transforms.resize_array import as_dtype

Matrix = npt.NDArray[np.float64]
"""(3, 3)."""


@dataclass(frozen=True)
class VolumePatchParams:
    """Parameters of `VolumePatch`.

    Attributes:
        start: First voxel of the patch along each axis before it is rotated or zoomed; negative if the volume
            is smaller than the patch, which is then padded.
        degrees: Angle of rotation around each axis.
        zoom: Factor by which things in the patch are enlarged.
        bend: Elastic deformation of the patch, or None.
    """

    start: tuple[int, ...]
    degrees: tuple[float, ...] = (0.0, 0.0, 0.0)
    zoom: float = 1.0
    bend: Bend | None = None

    @property
    def is_cut(self) -> bool:
        """Whether the patch is a part of the volume as it is."""
        return self.zoom == 1 and not any(self.degrees) and self.bend is None


@dataclass(frozen=True)
class VolumePatch:
    """Cut a patch out of a volume at a random place, sometimes rotated, zoomed or deformed.

    Rotations are in space: with the volume's spacing, so that nothing is sheared. Image values are
    interpolated linearly, labels are those of the nearest voxel.

    Attributes:
        size: Size of the patch, (*S).
        rotation: Maximum angle around each axis in degrees, in either direction.
        scale: Smallest and largest zoom; with 2, things are twice as large. Its logarithm is drawn uniformly,
            so that enlarging and reducing are equally frequent.
        probability: Fraction of patches that are rotated, and, drawn apart, of those that are zoomed.
        thick_axis: Axis of thick slices, between which nothing is interpolated: patches are rotated around it
            only, and zoomed and deformed within slices.
        elastic: Standard deviation of an elastic deformation in voxels; 0 deforms nothing.
        elastic_grid: Distance between its control points in voxels.
        elastic_probability: Fraction of patches that are deformed.
        fill: Value of voxels outside the volume, per channel or one for all, in image values; in label maps
            they are ignored.
        foreground_probability: Fraction of patches that are centred on a foreground voxel.
        background: Trained index of the background class, or None.
    """

    size: tuple[int, ...]
    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    probability: float = 1.0
    thick_axis: int | None = None
    elastic: float = 0.0
    elastic_grid: int = 32
    elastic_probability: float = 1.0
    fill: Sequence[float] | float = 0.0
    foreground_probability: float = 0.0
    background: int | None = None

    def draw(self, rng: np.random.Generator, sample: Sample) -> VolumePatchParams:
        """Draw rotation, zoom, place, and deformation."""
        rotates, zooms = rng.random(2) < self.probability
        angles = rng.uniform(-self.rotation, self.rotation, 3) * rotates
        if self.thick_axis is not None:
            angles *= np.arange(3) == self.thick_axis
        zoom = np.exp(rng.uniform(log(self.scale[0]), log(self.scale[1]))) if zooms else 1.0
        start = self._draw_start(rng, sample)
        bend = None
        if self.elastic:  # nothing is drawn otherwise, so that older runs can be resumed
            amounts = (self.elastic, self.elastic_grid, self.elastic_probability)
            bend = draw_bend(rng, *amounts, self.thick_axis)
        return VolumePatchParams(start, tuple(float(a) for a in angles), float(zoom), bend)

    def _draw_start(self, rng: np.random.Generator, sample: Sample) -> tuple[int, ...]:
        shape = sample.spatial_shape
        ends = [(min(0, s - w), max(0, s - w)) for s, w in zip(shape, self.size, strict=True)]
        if sample.targets and rng.random() < self.foreground_probability:
            voxels = (target.foreground_pixel(rng, self.background) for target in sample.targets)
            centre = next((voxel for voxel in voxels if voxel is not None), None)
            if centre is not None:
                places = zip(centre, self.size, ends, strict=True)
                return tuple(int(np.clip(c - w // 2, *end)) for c, w, end in places)
        return tuple(int(rng.integers(low, high + 1)) for low, high in ends)

    def apply(self, sample: Sample, params: VolumePatchParams) -> Sample:
        """Cut the patch out of image and labels."""
        if params.is_cut:
            return self._cut(sample, params.start)
        return self._mapped(sample, params)

    def _cut(self, sample: Sample, start: tuple[int, ...]) -> Sample:
        source, target = _inside(start, self.size, sample.spatial_shape)
        fill = as_dtype(np.asarray(self.fill, np.float64), sample.image.dtype)

        def labels(array: Array, outside: int) -> Array:
            return _placed(array[source], target, self.size, array.dtype.type(outside))

        move = Move(self.size, labels, points=lambda points: points - start[::-1])
        image = _placed(sample.image[source], target, self.size, fill)
        return sample.moved(move, image, sample.spacing_mm)

    def _mapped(self, sample: Sample, params: VolumePatchParams) -> Sample:
        steps = np.array(sample.spacing_mm or (1.0, 1.0, 1.0))
        zooms = np.array([1.0 if axis == self.thick_axis else 1 / params.zoom for axis in range(3)])
        # From offsets in the patch to offsets in the volume, both in voxels; the rotation is in space.
        matrix = np.diag(1 / steps) @ rotation_of(params.degrees) @ np.diag(steps * zooms)
        half = np.array(self.size) / 2
        centre = np.array(params.start) + half  # voxel 0 covers 0 to 1
        bend = params.bend
        moved_by = 0.0 if bend is None else np.abs(bend.controls(self.size)).max(axis=(1, 2, 3))
        box = _box(centre, np.abs(matrix) @ (half + moved_by) + 1, sample.spatial_shape)
        grid = _grid(matrix, centre, box, self.size, bend)

        def labels(array: Array, outside: int) -> Array:
            part = torch.from_numpy(array[box].astype(np.float32) - np.float32(outside))[None, None]
            moved = F.grid_sample(part, grid, "nearest", "zeros", align_corners=False)[0, 0].numpy()
            return np.asarray(moved + np.float32(outside), array.dtype)

        def points(points: Points) -> Points:
            moved: Points = (points[:, ::-1] - centre) @ np.linalg.inv(matrix).T + half
            return (moved if bend is None else bend.undone(moved, self.size))[:, ::-1]

        spacing = sample.spacing_mm and tuple(float(step) for step in steps * zooms)
        return sample.moved(Move(self.size, labels, points), self._image(sample.image[box], grid), spacing)

    def _image(self, part: Image, grid: torch.Tensor) -> Image:
        # Subtracting the filling makes it the zero with which voxels outside are padded.
        fill = np.broadcast_to(np.asarray(self.fill, np.float32), part.shape[-1:])
        channels = np.ascontiguousarray(np.moveaxis(part.astype(np.float32) - fill, -1, 0))
        moved = F.grid_sample(
            torch.from_numpy(channels)[None], grid, "bilinear", "zeros", align_corners=False
        )
        values = np.moveaxis(moved[0].numpy(), 0, -1) + fill
        return as_dtype(np.ascontiguousarray(values), part.dtype)


def rotation_of(degrees: Sequence[float]) -> Matrix:
    """Return the rotation around the first axis, then the second, then the third."""
    matrix = np.eye(3)
    for axis, angle in enumerate(degrees):
        first, second = (a for a in range(3) if a != axis)
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = cos(radians(angle))
        turn[first, second], turn[second, first] = -sin(radians(angle)), sin(radians(angle))
        matrix = turn @ matrix
    return matrix


def _grid(
    matrix: Matrix,
    centre: npt.NDArray[np.float64],
    box: tuple[slice, ...],
    size: tuple[int, ...],
    bend: Bend | None,
) -> torch.Tensor:
    """Return the place in `box` of each voxel of the patch, (1, *S, 3), as `grid_sample` counts: -1 to 1."""
    lengths = np.array([b.stop - b.start for b in box], np.float64)
    begin = np.array([b.start for b in box], np.float64)
    half = np.array(size) / 2
    # With x in -1..1 over the patch, the place in the volume is centre + matrix @ (x * half).
    linear = 2 / lengths[:, None] * (matrix * half[None, :])
    shift = 2 * (centre - begin) / lengths - 1
    theta = np.concatenate([linear[::-1, ::-1], shift[::-1, None]], axis=1)
    whole = torch.from_numpy(theta).float()[None]
    grid = F.affine_grid(whole, [1, 1, *size], align_corners=False)
    if bend is None:
        return grid
    moved = np.tensordot(2 / lengths[:, None] * matrix, bend.field(size), axes=1)
    return grid + torch.from_numpy(np.ascontiguousarray(np.moveaxis(moved[::-1], 0, -1))).float()


def _box(
    centre: npt.NDArray[np.float64], reach: npt.NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[slice, ...]:
    """Return the voxels of a volume within reach of a place, at least one along each axis."""
    box = []
    for place, far, length in zip(centre, reach, shape, strict=True):
        low = int(np.clip(np.floor(place - far), 0, length - 1))
        box.append(slice(low, int(np.clip(np.ceil(place + far), low + 1, length))))
    return tuple(box)


def _inside(
    start: tuple[int, ...], size: tuple[int, ...], shape: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the part of the volume in a patch, and its place there."""
    source, target = [], []
    for first, wanted, length in zip(start, size, shape, strict=True):
        low, high = max(0, first), min(length, first + wanted)
        source.append(slice(low, high))
        target.append(slice(low - first, high - first))
    return tuple(source), tuple(target)


def _placed(part: Array, target: tuple[slice, ...], size: tuple[int, ...], fill: Array) -> Array:
    """Return a copy of a part, with filled voxels around it up to a size."""
    if part.shape[: len(size)] == size:
        return np.array(part)
    whole = np.empty((*size, *part.shape[len(size) :]), part.dtype)
    whole[...] = fill
    whole[target] = part
    return whole
