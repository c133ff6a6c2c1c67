"""Distances between the surfaces of two regions, such as a true and a predicted structure.

The surface of a region is the set of its pixels or voxels with a neighbour outside, along one axis; the
border of the image counts as outside. Distances are Euclidean, between centres, exact, and equal to those of
MONAI. DeepMind's surface-distance puts the surface between voxels and weighs its elements by their area, so
its results may differ by about a voxel.

Shape legend: *S spatial axes, D their number, P points.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

NEAR, MOST_PLACES = 3, 100
"""Steps of the smallest spacing within which the nearest point is looked up, and most places around each."""

FIRST_PLACES, FEWEST_FOUND = 27, 0.5
"""After this many places, the others are looked up only if this part of the points was found: most surfaces
are close to each other, and those of bad predictions are not."""

Mask = npt.NDArray[np.bool_]
Distances = npt.NDArray[np.float64]

PERCENTILE = 95
"""Percentile of the Hausdorff distance: the largest distance itself depends on a single voxel."""

ROUNDING = 1e-6
"""Part of the tolerance by which a distance may exceed it: spacings in files are rounded."""


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between two surfaces, in both directions.

    Attributes:
        from_truth: (P) distance of each point of the true surface to the predicted one.
        from_predicted: (P) distance of each point of the predicted surface to the true one.
    """

    from_truth: Distances
    from_predicted: Distances

    @property
    def hd95(self) -> float:
        """The larger of the two 95th percentiles of the distances (HD95)."""
        return max(float(np.percentile(d, PERCENTILE)) for d in (self.from_truth, self.from_predicted))

    @property
    def average(self) -> float:
        """Mean distance over the points of both surfaces (ASSD)."""
        total = float(self.from_truth.sum() + self.from_predicted.sum())
        return total / (len(self.from_truth) + len(self.from_predicted))

    def dice(self, tolerance: float) -> float:
        """Return the fraction of the points of both surfaces within `tolerance` of the other (NSD)."""
        most = tolerance * (1 + ROUNDING)
        near = int((self.from_truth <= most).sum() + (self.from_predicted <= most).sum())
        return near / (len(self.from_truth) + len(self.from_predicted))


def surface_distances(
    truth: Mask, predicted: Mask, spacing: Sequence[float], axes: Sequence[int] | None = None
) -> SurfaceDistances:
    """Measure the distances between the surfaces of two regions; neither may be empty.

    Only the surfaces are visited, a few per cent of the voxels; a distance transform visits all of them.

    Args:
        truth: (*S), or the part of it with both regions.
        predicted: (*S).
        spacing: (D) distance between neighbours along each axis.
        axes: Axes along which a neighbour outside makes a voxel part of the surface; defaults to all.
    """
    surfaces = [surface_of(mask, axes) for mask in (truth, predicted)]
    steps = np.asarray(spacing, np.float64)
    return SurfaceDistances(
        _to_nearest(surfaces[0], surfaces[1], steps), _to_nearest(surfaces[1], surfaces[0], steps)
    )


def surface_of(mask: Mask, axes: Sequence[int] | None = None) -> Mask:
    """Return (*S) the points of a region with a neighbour outside, along one of the axes."""
    inner = mask.copy()
    for axis in range(mask.ndim) if axes is None else axes:
        along, seen = np.moveaxis(inner, axis, 0), np.moveaxis(mask, axis, 0)
        along[1:] &= seen[:-1]
        along[:-1] &= seen[1:]
        along[0] = along[-1] = False
    return np.asarray(mask & ~inner)


def _to_nearest(surface: Mask, other: Mask, steps: Distances) -> Distances:
    """Return the distance of each point of a surface to the nearest one of another.

    Most surfaces are close to each other, so the places around a point are looked up first, from near to far;
    a k-d tree finds what is farther away.
    """
    from scipy.spatial import cKDTree  # prediction does without it

    around, reach, margin = _places_around(tuple(steps.tolist()))
    padded = np.pad(other, [(size, size) for size in margin])
    sizes = np.cumprod([1, *padded.shape[:0:-1]])[::-1]
    points = np.argwhere(surface)
    indices, flat = (points + margin) @ sizes, padded.ravel()
    distances, left = np.zeros(len(points)), np.arange(len(points))
    for place, (step, distance) in enumerate(zip((around @ sizes).tolist(), reach.tolist(), strict=True)):
        if place == FIRST_PLACES and len(left) > (1 - FEWEST_FOUND) * len(points):
            break
        is_there = flat[indices + step]
        distances[left[is_there]] = distance
        left, indices = left[~is_there], indices[~is_there]
        if not len(left):
            return distances
    tree = cKDTree(np.argwhere(other) * steps, leafsize=32, balanced_tree=False, compact_nodes=False)
    distances[left] = tree.query(points[left] * steps)[0]
    return distances


@lru_cache(maxsize=8)
def _places_around(
    spacing: tuple[float, ...],
) -> tuple[npt.NDArray[np.int64], Distances, npt.NDArray[np.int64]]:
    """Return the places around a point from near to far, without gaps, as steps along the axes.

    Args:
        spacing: Size of a step along each axis, D numbers.

    Returns:
        (P, D) steps, (P) their distances, and (D) the largest number of steps along each axis.
    """
    steps = np.array(spacing)
    margin = np.clip(np.rint(NEAR * steps.min() / steps), 1, NEAR).astype(np.int64)
    ranges = [np.arange(-size, size + 1) for size in margin.tolist()]
    places = np.stack(np.meshgrid(*ranges, indexing="ij"), -1).reshape(-1, len(steps))
    distances = np.linalg.norm(places * steps, axis=1)
    order = np.argsort(distances, kind="stable")
    is_complete = distances[order] < ((margin + 1) * steps).min()
    nearest = order[is_complete][:MOST_PLACES]
    return places[nearest], distances[nearest], margin
