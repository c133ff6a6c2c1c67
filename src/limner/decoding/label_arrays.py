"""From logits to label maps, probabilities and classes of images with NumPy alone, where there is no PyTorch.

The same steps as in `label_maps` and `class_probabilities`.

Shape legend: K classes, *s network resolution, *S wanted resolution.
"""

from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelArray, label_dtype
from limner.decoding.network_arrays import ArrayRuns, ArrayView, Logits, index_of
from limner.decoding.probability_maps import Probabilities, empty_probabilities, most_probable

if TYPE_CHECKING:
    from limner.decoding.network_runs import Box

CHUNK_ELEMENTS = 2**20
"""Scores in memory at full resolution at once: 4 MiB, which fits in the CPU cache."""

Scores = npt.NDArray[np.float32]
"""(K, *box) logits of a part of an image at its full resolution."""


def predict_label_array(
    runs: ArrayRuns, *, num_classes: int, probabilities: bool = False
) -> tuple[LabelArray, Probabilities | None]:
    """Return the class of each pixel of one image, averaged over its views.

    Args:
        runs: The image.
        num_classes: K.
        probabilities: Whether to return those of each class too.

    Returns:
        (*S) the classes as in a `LabelMap`, and (K, *S) as of `empty_probabilities`, or None.
    """
    if not runs.has_one_view:
        mean = _mean_probabilities(runs, num_classes)
        return most_probable(mean), mean if probabilities else None
    (view,) = runs.views()
    labels = np.empty(runs.size, label_dtype(num_classes))
    found = empty_probabilities(num_classes, runs.size) if probabilities else None
    for box, scores in _scores_of_view(view, runs.size):
        labels[box] = _first_largest(scores)
        if found is not None:
            found[index_of(box)] = softmax(scores)
    return labels, found


def predict_class_array(runs: ArrayRuns, *, exclusive: bool) -> npt.NDArray[np.float32]:
    """Return (K,) the probability of each class of an image, averaged over its views.

    Args:
        runs: The image.
        exclusive: Whether an image has one class, so that the probabilities sum to 1.
    """
    logits = [view.whole()[0] for view in runs.views()]
    chances = [softmax(each) if exclusive else 1 / (1 + np.exp(-each)) for each in logits]
    return np.asarray(np.stack(chances).mean(0), np.float32)


def softmax(scores: Scores) -> Scores:
    """Return the probabilities of logits (K, ...)."""
    chances: Scores = np.exp(scores - scores.max(0))
    chances /= chances.sum(0)
    return chances


def resized_rows(logits: Logits, size: Sequence[int], rows: slice) -> Scores:
    """Return rows of logits resized linearly along each axis, as ``interpolate(align_corners=False)`` does.

    Args:
        logits: (1, K, *s).
        size: *S.
        rows: The wanted part of the first axis of *S.
    """
    part = _interpolated(logits[0], 1, size[0], rows)
    for axis, length in enumerate(size[1:], start=2):
        part = _interpolated(part, axis, length, slice(0, length))
    return part


def _interpolated(array: Scores, axis: int, length: int, wanted: slice) -> Scores:
    """Return a part of an axis that is resized to `length`."""
    old = array.shape[axis]
    if old == length:
        place = (*[slice(None)] * axis, wanted)
        return array[place]
    # Pixel centres are aligned; what lies outside them repeats the first and last pixel.
    position = np.arange(wanted.start, wanted.stop, dtype=np.float32)
    position = np.maximum((position + np.float32(0.5)) * np.float32(old / length) - np.float32(0.5), 0)
    below = np.minimum(position.astype(np.intp), old - 1)
    weight = (position - below).reshape(-1, *[1] * (array.ndim - axis - 1)).astype(np.float32)
    first = array.take(below, axis)
    second: Scores = array.take(np.minimum(below + 1, old - 1), axis)
    second -= first
    second *= weight
    second += first
    return second


def _mean_probabilities(runs: ArrayRuns, num_classes: int) -> Probabilities:
    """Average the probabilities (K, *S) over the views."""
    total, num_views = empty_probabilities(num_classes, runs.size), 0
    for view in runs.views():
        for box, scores in _scores_of_view(view, runs.size):
            place = index_of(box)
            total[place] = total[place] + softmax(scores) if num_views else softmax(scores)
        num_views += 1
    total /= num_views
    return total


def _scores_of_view(view: ArrayView, size: tuple[int, ...]) -> Iterator[tuple["Box", Scores]]:
    """Yield parts of an image of size *S, and the scores there."""
    if view.size == size and not view.flipped:
        for box, logits in view.parts():
            yield from _scores_in_box(logits, box)
        return
    yield from _scores_in_box(_joined(view), tuple(slice(0, side) for side in size))


def _scores_in_box(logits: Logits, box: "Box") -> Iterator[tuple["Box", Scores]]:
    """Yield logits that stand for a box of an image, a few rows at a time."""
    first, *others = box
    extent = tuple(side.stop - side.start for side in box)
    step = max(1, CHUNK_ELEMENTS // max(1, logits.shape[1] * prod(extent[1:])))
    for start in range(0, extent[0], step):
        rows = slice(start, min(start + step, extent[0]))
        place = slice(first.start + rows.start, first.start + rows.stop)
        yield (place, *others), resized_rows(logits, extent, rows)


def _joined(view: ArrayView) -> Logits:
    """Return the logits of all parts, mirrored back: (1, K, *S of the view), or (1, K, *s) of one part."""
    whole: Logits | None = None
    for box, logits in view.parts():
        if tuple(side.stop - side.start for side in box) == view.size:
            whole = logits
            break
        if whole is None:
            whole = np.empty((*logits.shape[:2], *view.size), np.float32)
        whole[index_of(box)] = logits
    assert whole is not None, "a view has parts"
    return np.flip(whole, tuple(axis + 2 for axis in view.flipped)) if view.flipped else whole


def _first_largest(scores: Scores) -> npt.NDArray[np.int_]:
    """Map (K, ...) to the number of the largest; ties go to the first.

    Loops over the classes, because `argmax` over a strided axis is several times slower.
    """
    best = scores[0].copy()
    labels = np.zeros(best.shape, np.int_)
    for index in range(1, len(scores)):
        labels[scores[index] > best] = index
        np.maximum(best, scores[index], out=best)
    return labels
