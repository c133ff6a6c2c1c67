"""From logits to label maps, probabilities and classes of images with NumPy alone, where there is no PyTorch.

The same steps as in `label_maps` and `class_probabilities`.

Shape legend: K classes, *s network resolution, *S wanted resolution.
"""

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from limner.core.labels import LabelArray, label_dtype
from limner.decoding.network_arrays import ArrayRuns, ArrayView, Logits, PixelArrays, QueryArrays, index_of
from limner.decoding.pixel_arrays import CHUNK_ELEMENTS, Scores, joined_parts, scores_at, softmax
from limner.decoding.probability_maps import Probabilities, empty_probabilities, most_probable

if TYPE_CHECKING:
    from limner.decoding.network_runs import Box


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
    chances = [softmax(each) if exclusive else expit(each) for each in logits]
    return np.asarray(np.stack(chances).mean(0), np.float32)


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
        for box, maps in view.parts():
            yield from _scores_in_box(maps, box)
        return
    maps = joined_parts(view)
    if view.flipped:
        maps = _at_size_of(view, maps)
    yield from _scores_in_box(maps, tuple(slice(0, side) for side in size))


def _at_size_of(view: ArrayView, maps: PixelArrays) -> Logits:
    """Return the logits of a view mirrored back; those of queries at its size."""
    if isinstance(maps, QueryArrays):
        maps = scores_at(maps, view.size, slice(0, view.size[0]))[np.newaxis]
    return np.flip(maps, tuple(axis + 2 for axis in view.flipped))


def _scores_in_box(maps: PixelArrays, box: "Box") -> Iterator[tuple["Box", Scores]]:
    """Yield the scores of maps that stand for a box of an image, a few rows at a time."""
    first, *others = box
    extent = tuple(side.stop - side.start for side in box)
    num_maps = (maps.mask_logits if isinstance(maps, QueryArrays) else maps).shape[1]
    step = max(1, CHUNK_ELEMENTS // max(1, num_maps * prod(extent[1:])))
    for start in range(0, extent[0], step):
        rows = slice(start, min(start + step, extent[0]))
        place = slice(first.start + rows.start, first.start + rows.stop)
        yield (place, *others), scores_at(maps, extent, rows)


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
