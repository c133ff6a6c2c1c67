"""Decoding of class, centre and offset at each pixel of an exported network, with NumPy and SciPy alone.

The same steps as in `centre_offsets`.

Shape legend: K classes, D number of spatial axes, M centres, n pixels, *s network resolution, *S the image's.
"""

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial.distance import cdist

from limner.decoding.grouped_pixels import (
    CENTRE_THRESHOLD,
    MOST_CENTRES,
    MOST_SADDLE,
    NEIGHBOURHOOD,
    TIE,
    GroupedPixels,
)
from limner.decoding.network_arrays import ArrayRuns, ArrayView, Logits, QueryArrays
from limner.decoding.pixel_arrays import CHUNK_ELEMENTS, Scores, joined_parts, resized_rows, softmax

_DISTANCES_AT_ONCE = 2**21
"""Distances of pixels from centres in memory at once: 16 MiB."""


def mean_map_array(runs: ArrayRuns) -> Logits:
    """Run the network on an image in all its windows and views, and average the maps.

    Returns:
        (1, K + 2 + D, *s): logits of the classes and of "nothing", heat, and offsets in pixels of the image.
        At the network's resolution if there is one plain view, else at the image's.
    """
    if runs.fits_in_one_pass:
        (view,) = runs.views()
        return _maps_of(view, runs.size)
    dims, views = len(runs.size), []
    for view in runs.views():
        maps = resized_rows(_maps_of(view, runs.size), runs.size, slice(0, runs.size[0]))
        maps[: -dims - 1] = softmax(maps[: -dims - 1])
        views.append(maps)
    mean: Scores = np.asarray(np.mean(views, 0), np.float32)
    mean[: -dims - 1] = np.log(mean[: -dims - 1])
    return mean[np.newaxis]


def _maps_of(view: ArrayView, size: Sequence[int]) -> Logits:
    """Return the maps of one view, its parts joined, mirrored back, with offsets in pixels of the image."""
    joined = joined_parts(view)
    assert not isinstance(joined, QueryArrays), "centres and offsets are maps of pixels"
    maps: Logits = np.flip(joined, tuple(axis + 2 for axis in view.flipped)).copy()
    for axis, (new, seen) in enumerate(zip(size, view.size, strict=True)):
        maps[:, axis - len(size)] *= (-1 if axis in view.flipped else 1) * new / seen
    return maps


def group_pixel_arrays(
    maps: Logits,
    size: Sequence[int],
    *,
    is_thing: Sequence[bool],
    seen_size: Sequence[int],
    threshold: float = CENTRE_THRESHOLD,
) -> GroupedPixels:
    """Group the pixels of one image at size *S, as `centre_offsets.group_pixels`.

    Args:
        maps: (1, K + 2 + D, *s) from `mean_map_array`.
        size: *S, the image's size.
        is_thing: Whether each of the K classes is countable.
        seen_size: Size at which the network saw the image, at which peaks are found.
        threshold: Minimum height of the peak of an object.
    """
    num_classes = len(is_thing)
    logits, centre = maps[:, : num_classes + 1], maps[:, num_classes + 1 : num_classes + 2]
    classes, best = np.empty(tuple(size), np.int32), np.empty(tuple(size), np.float32)
    for rows, chances in _chances_in_chunks(logits, size):
        classes[rows], best[rows] = chances.argmax(0), chances.max(0)
    areas = np.bincount(classes.ravel(), minlength=num_classes + 1)
    sums = np.bincount(classes.ravel(), best.ravel(), num_classes + 1)
    heat = resized_rows(centre, seen_size, slice(0, seen_size[0]))[0]
    peaks, heights = find_centre_arrays(heat, threshold)
    centres = (peaks + 0.5) * [new / old for new, old in zip(size, seen_size, strict=True)] - 0.5
    numbers = np.zeros(tuple(size), np.int64)
    inside = np.array([*is_thing, False])[classes]
    if len(centres) and inside.any():
        offsets = resized_rows(maps[:, num_classes + 2 :], size, slice(0, size[0]))
        numbers[inside] = _nearest_centres(inside, offsets, centres) + 1
    grouped = numbers > 0
    pairs = (numbers[grouped] - 1) * num_classes + classes[grouped]
    votes = np.bincount(pairs, minlength=len(centres) * num_classes).reshape(-1, num_classes)
    labels = votes.argmax(1)
    covered = _mean_chances_of(labels, numbers, logits)
    scores = np.sqrt(covered * heights.clip(0, 1)).astype(np.float32)
    means = (sums / np.maximum(areas, 1)).astype(np.float32)
    return GroupedPixels(classes, numbers, labels, scores, areas, means)


def _mean_chances_of(
    labels: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64], logits: Logits
) -> npt.NDArray[np.float64]:
    """Return the mean probability (M,) of each object's class over its pixels; 0 without pixels."""
    sums, label_of = np.zeros(len(labels) + 1), np.concatenate(([0], labels))
    for rows, chances in _chances_in_chunks(logits, numbers.shape):
        own = label_of[numbers[rows]][np.newaxis]
        of_object = np.take_along_axis(chances, own, 0)[0]
        sums += np.bincount(numbers[rows].ravel(), of_object.ravel(), len(sums))
    return np.asarray(sums / np.maximum(np.bincount(numbers.ravel(), minlength=len(sums)), 1))[1:]


def _chances_in_chunks(logits: Logits, size: Sequence[int]) -> Iterator[tuple[slice, Scores]]:
    """Yield slices of the first spatial axis, and the probabilities (K + 1, rows, ...) there."""
    step = max(1, CHUNK_ELEMENTS // max(1, logits.shape[1] * prod(size[1:])))
    for start in range(0, size[0], step):
        rows = slice(start, min(start + step, size[0]))
        yield rows, softmax(resized_rows(logits, size, rows))


def find_centre_arrays(
    heat: Scores, threshold: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """Return the peaks of a heatmap (*S) above a height, highest first: positions (M, D), heights (M,)."""
    for axis in range(heat.ndim):
        heat = ndimage.correlate1d(heat, [0.25, 0.5, 0.25], axis, mode="nearest")
    peaks = np.argwhere((heat == _highest_nearby(heat, NEIGHBOURHOOD)) & (heat > threshold))
    heights = heat[tuple(peaks.T)]
    order = np.argsort(-heights, kind="stable")
    peaks, heights = peaks[order], heights[order]
    own = _stand_out(heat, peaks, heights)
    return peaks[own][:MOST_CENTRES], heights[own][:MOST_CENTRES]


def _stand_out(
    heat: Scores, peaks: npt.NDArray[np.intp], heights: npt.NDArray[np.float32]
) -> npt.NDArray[np.bool_]:
    """Return for each peak whether every way to an earlier one sinks below `MOST_SADDLE` of its height."""
    # Each a little lower than the one before it, so that no two are equally high.
    heights = (heights * (1 - TIE * np.arange(len(peaks)))).astype(np.float32)
    ground, flood = heat.copy(), np.zeros_like(heat)
    ground[tuple(peaks.T)] = heights
    flood[tuple(peaks.T)] = heights * np.float32(MOST_SADDLE)
    before = np.full_like(flood, -1)
    while not np.array_equal(before, flood):
        before, flood = flood, np.minimum(_highest_nearby(flood, 3), ground)
    return np.asarray(flood[tuple(peaks.T)] <= heights * np.float32(MOST_SADDLE))


def _highest_nearby(values: Scores, side: int) -> Scores:
    """Return the highest of the values (*S) in a square around each pixel."""
    return np.asarray(ndimage.maximum_filter(values, side, mode="nearest"))


def _nearest_centres(
    inside: npt.NDArray[np.bool_], offsets: Scores, centres: npt.NDArray[np.float64]
) -> npt.NDArray[np.intp]:
    """Return the index (n,) of the centre nearest to where the offset of each pixel inside a mask points.

    Args:
        inside: (*S), n of them True.
        offsets: (D, *S) in pixels.
        centres: (M, D) positions.
    """
    ends = np.argwhere(inside) + offsets[:, inside].T  # (n, D)
    parts = range(0, len(ends), max(1, _DISTANCES_AT_ONCE // len(centres)))
    step = parts.step
    return np.concatenate([cdist(ends[start : start + step], centres).argmin(1) for start in parts])
