"""Resampling of volumes and their label maps to another spacing, one axis at a time.

A grid that keeps its directions is resampled along each axis by itself, so each axis is one multiplication by
a small matrix. Voxel centres are aligned so that both grids cover the same space: source coordinate =
(x + 0.5) * source / size - 0.5, as OpenCV and ``interpolate(align_corners=False)`` align them.

Shape legend: S spatial axes (D, H, W), C channels, n old length of an axis, m new length.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from limner.core.affine import spacing_text
from limner.core.errors import DataError, describe
from limner.core.picture import Image
from limner.core.plan import InputPlan
from limner.core.sample import size_text
from limner.core.wording import memory
from limner.devices.host import available_bytes

Order = Literal["linear", "cubic"]

ANISOTROPIC = 3.0
"""Factor between spacings from which values are not interpolated across thick slices, as in nnU-Net: between
slices so far apart, interpolation makes up anatomy that neither of them shows."""

PADDING = 12
"""Voxels by which an axis is continued for cubic splines, as in SciPy; their influence falls by 0.27 each."""

Spacing = tuple[float, ...] | None
"""Distance between voxels along each axis in millimetres; None if unknown."""

Weights = npt.NDArray[np.float32]
"""(m, n): each new voxel as a weighted sum of the old ones."""


def seen_shape(
    shape: tuple[int, ...], spacing_mm: tuple[float, ...] | None, plan: InputPlan, *, where: str
) -> tuple[int, ...]:
    """Return the size at which a network sees a volume.

    Args:
        shape: (D, H, W) of the volume in the plan's orientation.
        spacing_mm: Its spacing along the same axes, or None if unknown.
        plan: The input of the network.
        where: The file, for the error message.

    Returns:
        `shape` if the plan resamples nothing. For networks of slices, slices are resampled and their number
        stays.

    Raises:
        DataError: The spacing is unknown, or the resampled volume does not fit in memory.
    """
    if not plan.resample:
        return shape
    assert plan.spacing_mm is not None, "plans that resample have a spacing"
    if spacing_mm is None:
        raise DataError(
            describe(
                "The volume does not state its spacing, so it cannot be resampled as the model needs it",
                where=where,
                found="no spacing in millimetres",
                expected=f"any; the network sees {spacing_text(plan.spacing_mm)}",
                fix="Convert it to a format with a spacing, such as NIfTI or NRRD.",
            )
        )
    wanted = list(plan.spacing_mm)
    if plan.slice_axis is not None:
        wanted.insert(plan.slice_axis, spacing_mm[plan.slice_axis])
    seen = resampled_size(shape, spacing_mm, wanted)
    needed = prod(seen) * plan.channels * np.dtype(np.float32).itemsize
    if prod(seen) > prod(shape) and needed > available_bytes():
        raise DataError(
            describe(
                "The volume is too large at the spacing that the network sees",
                where=where,
                found=f"{size_text(shape)} voxels of {spacing_text(spacing_mm)}, which become "
                f"{size_text(seen)} and take {memory(needed)}",
                expected=f"at most the free memory, {memory(available_bytes())}",
                fix="Check the spacing in the header; or cut the volume to the part that matters.",
            )
        )
    return seen


def resample_as_seen(
    image: Image, spacing_mm: Spacing, plan: InputPlan, *, where: str
) -> tuple[Image, Spacing, int | None]:
    """Return a volume as a network sees it, its spacing then, and the axis without interpolation.

    Args:
        image: (D, H, W, C) in the plan's orientation.
        spacing_mm: Its spacing along the same axes.
        plan: The input of the network.
        where: The file, for error messages.

    Raises:
        DataError: As `seen_shape`.
    """
    shape = tuple(image.shape[:-1])
    seen = seen_shape(shape, spacing_mm, plan, where=where)
    if spacing_mm is None or seen == shape:
        return image, spacing_mm, None
    after = tuple(step * old / new for step, old, new in zip(spacing_mm, shape, seen, strict=True))
    thick = thick_axis(spacing_mm, after)
    return resample_image(image, seen, thick=thick), after, thick


def resampled_size(shape: Sequence[int], before: Sequence[float], after: Sequence[float]) -> tuple[int, ...]:
    """Return the size of a volume after resampling from one spacing to another."""
    steps = zip(shape, before, after, strict=True)
    return tuple(max(1, round(side * old / new)) for side, old, new in steps)


def thick_axis(before: Sequence[float], after: Sequence[float]) -> int | None:
    """Return the axis across which values are not interpolated, or None.

    It is the axis of the largest spacing, if that is more than `ANISOTROPIC` times the smallest, before
    resampling or else after it, and no other axis has the same.

    Args:
        before: Spacing along each axis.
        after: Spacing after resampling.
    """
    for spacing in (before, after):
        if max(spacing) > ANISOTROPIC * min(spacing):
            thickest = [axis for axis, step in enumerate(spacing) if step == max(spacing)]
            return thickest[0] if len(thickest) == 1 else None
    return None


def resample_image(
    image: Image, shape: tuple[int, ...], *, order: Order = "cubic", thick: int | None = None
) -> Image:
    """Resample a volume, without values outside its own range.

    Args:
        image: (D, H, W, C); may be read-only, strided or mapped.
        shape: New size (D, H, W).
        order: ``cubic`` for splines as in SciPy's ``zoom(order=3, mode="nearest", grid_mode=True)``, or
            ``linear``.
        thick: Axis along which the nearest slice is taken, see `thick_axis`.

    Returns:
        (*shape, C) float32; a copy.
    """
    if image.shape[:-1] == shape:
        return np.array(image, np.float32)
    result = np.empty((*shape, image.shape[-1]), np.float32)
    for channel in range(image.shape[-1]):
        part = nearest_along(image[..., channel], shape, thick).astype(np.float32)
        low, high = part.min(), part.max()
        weights = [axis_weights(n, m, order) for n, m in zip(part.shape, shape, strict=True)]
        np.clip(_weighted(part, weights), low, high, out=result[..., channel])
    return result


def resample_labels(
    labels: npt.NDArray[Any], shape: tuple[int, ...], *, thick: int | None = None
) -> npt.NDArray[Any]:
    """Resample a label map: of each new voxel, the label with the largest linearly interpolated share.

    Smoother than the nearest label, and equal to it where a voxel has one. Only the box around a label is
    looked at, so that many small structures cost little. Of equal shares, the largest label counts, and the
    most common one last.

    Args:
        labels: (D, H, W) of any integer type.
        shape: New size (D, H, W).
        thick: Axis along which the nearest slice is taken, see `thick_axis`.

    Returns:
        (*shape) of the same type; a contiguous copy.
    """
    labels = nearest_along(labels, shape, thick)
    if labels.shape == shape:
        return np.array(labels)
    weights = [axis_weights(n, m, "linear") for n, m in zip(labels.shape, shape, strict=True)]
    values, counts = np.unique(labels, return_counts=True)
    commonest = values[counts.argmax()]
    found = np.full(shape, commonest, labels.dtype)
    best, total = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for value in values[values != commonest]:
        mask = labels == value
        box, near, parts = _reach(mask, weights)
        share = _weighted(mask[box].astype(np.float32), parts)
        total[near] += share
        wins = (share >= best[near]) & (share > 0)
        found[near][wins] = value
        best[near][wins] = share[wins]
    found[1 - total > best] = commonest
    return found


def nearest_along(array: npt.NDArray[Any], shape: Sequence[int], axis: int | None) -> npt.NDArray[Any]:
    """Return an array with the nearest slices for a new length of one axis; itself for None."""
    if axis is None or array.shape[axis] == shape[axis]:
        return array
    places = (np.arange(shape[axis]) + 0.5) * array.shape[axis] / shape[axis]
    return np.asarray(array.take(places.astype(np.intp), axis=axis))


@lru_cache(maxsize=64)
def axis_weights(old: int, new: int, order: Order) -> Weights:
    """Return the matrix (m, n) that resamples one axis; read-only.

    Args:
        old: n.
        new: m.
        order: Linear or cubic.
    """
    places = (np.arange(new) + 0.5) * old / new - 0.5
    weights = _linear(places, old) if order == "linear" or old == 1 else _cubic(places, old)
    matrix = weights.astype(np.float32)
    matrix.flags.writeable = False
    return matrix


def _linear(places: npt.NDArray[np.float64], length: int) -> npt.NDArray[np.float64]:
    clipped = np.clip(places, 0, length - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(clipped[:, None] - np.arange(length))))


def _cubic(places: npt.NDArray[np.float64], length: int) -> npt.NDArray[np.float64]:
    """Return the weights of the cubic spline through all values, which are repeated beyond the ends."""
    count = length + 2 * PADDING
    # The spline's values at the voxels are 1/6, 4/6, 1/6 of its coefficients, mirrored at the ends.
    at_voxels = np.diag(np.full(count, 4 / 6)) + np.diag(np.full(count - 1, 1 / 6), 1)
    at_voxels += np.diag(np.full(count - 1, 1 / 6), -1)
    at_voxels[0, 1] = at_voxels[-1, -2] = 2 / 6
    repeated = np.eye(length)[np.clip(np.arange(count) - PADDING, 0, length - 1)]
    coefficients = np.linalg.solve(at_voxels, repeated)
    kernel = spline_kernel(np.abs(places[:, None] + PADDING - np.arange(count)))
    weights: npt.NDArray[np.float64] = kernel @ coefficients
    return weights


def spline_kernel(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the weights of the uniform cubic B-spline at distances from its middle, at least 0."""
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.maximum(2 - distance, 0) ** 3 / 6
    return np.where(distance < 1, near, far)


def _weighted(part: npt.NDArray[np.float32], weights: Sequence[Weights]) -> npt.NDArray[np.float32]:
    """Apply a matrix to each axis of (D, H, W), first to the axis that shrinks most."""
    for axis in sorted(range(3), key=lambda a: len(weights[a]) / part.shape[a]):
        matrix = weights[axis]
        if matrix.shape[0] == matrix.shape[1] and (matrix == np.eye(len(matrix), dtype=np.float32)).all():
            continue
        if axis == 0:
            rows = matrix @ part.reshape(part.shape[0], -1)
            part = rows.reshape(len(matrix), *part.shape[1:])
        else:
            part = matrix @ part if axis == 1 else part @ matrix.T
    return part


def _reach(
    mask: npt.NDArray[np.bool_], weights: Sequence[Weights]
) -> tuple[tuple[slice, ...], tuple[slice, ...], list[Weights]]:
    """Return the box around a mask, the new voxels that it reaches, and the weights between both."""
    box, near, parts = [], [], []
    for axis, matrix in enumerate(weights):
        shown = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        old = slice(int(shown[0]), int(shown[-1]) + 1)
        reached = np.flatnonzero(matrix[:, old].any(axis=1))
        # A structure thinner than the new voxels may be missed by all of them.
        new = slice(int(reached[0]), int(reached[-1]) + 1) if reached.size else slice(0, 0)
        box.append(old)
        near.append(new)
        parts.append(matrix[new, old])
    return tuple(box), tuple(near), parts
