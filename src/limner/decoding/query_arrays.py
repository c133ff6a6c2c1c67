"""Decoding of the queries of an exported network to the objects or segments of one image, with NumPy alone.

The same steps as in `query_masks`.

Shape legend: Q queries, K classes, N segments, n some of them, *s network resolution, *S the image's.
"""

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from limner.core.prediction import PanopticPrediction, SegmentPrediction
from limner.decoding.network_arrays import NamedArrays
from limner.decoding.numbered_segments import NumberedSegments
from limner.decoding.pixel_arrays import Scores, queries_of, resized_rows, softmax

MOST_OBJECTS = 100
"""Maximum number of objects per image, as in COCO."""

OBJECT_THRESHOLD, OVERLAP_THRESHOLD = 0.8, 0.8
"""Minimum class probability of a segment; minimum fraction of its mask not covered by better segments."""

MASK_ELEMENTS = 2**22
"""Mask logits in memory at full resolution at once: 16 MiB."""

Indices = npt.NDArray[np.intp]


def find_objects_of_arrays(outputs: NamedArrays, size: Sequence[int], *, name: str = "") -> SegmentPrediction:
    """Return the objects of one image, as `query_masks.find_objects`."""
    queries = queries_of(outputs)
    chances = queries.chances.T  # (Q, K)
    best = np.argsort(-chances, axis=None, kind="stable")[:MOST_OBJECTS]
    rows, labels = np.divmod(best, chances.shape[1])
    used, place = np.unique(rows, return_inverse=True)  # a query may be a candidate for several classes
    masks = np.empty((len(used), *size), bool)
    quality = np.empty(len(used), np.float32)
    for some, scores in _masks_in_chunks(queries.mask_logits[0], used, size):
        masks[some] = inside = scores > 0
        area = inside.reshape(len(inside), -1).sum(1)
        covered = (expit(scores) * inside).reshape(len(inside), -1).sum(1)
        quality[some] = covered / np.maximum(area, 1)
    scores = chances.ravel()[best] * quality[place]
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > 0]
    return SegmentPrediction(name, masks[place[order]], labels[order].astype(np.int64), scores[order])


def find_segments_of_arrays(
    outputs: NamedArrays, size: Sequence[int], *, is_thing: Sequence[bool], name: str
) -> PanopticPrediction:
    """Return the segments of one image, as `query_masks.find_segments`."""
    of_all = softmax(outputs["class_logits"][0].T)  # (K + 1, Q)
    chances, labels = of_all.max(0), of_all.argmax(0)
    kept = np.flatnonzero((labels < len(is_thing)) & (chances > OBJECT_THRESHOLD))
    winner = np.full(tuple(size), -1, np.intp)
    best = np.zeros(tuple(size), np.float32)
    sure = np.zeros(tuple(size), bool)
    area = np.zeros(len(kept), np.intp)
    for rows, scores in _masks_in_chunks(queries_of(outputs).mask_logits[0], kept, size):
        for query, logits in enumerate(scores, start=rows.start):
            probabilities = expit(logits)
            inside = probabilities >= 0.5
            area[query] = inside.sum()
            weighted = probabilities * chances[kept[query]]
            better = weighted > best
            best[better], winner[better], sure[better] = weighted[better], query, inside[better]
    count = len(kept)
    won = np.bincount(winner.ravel() + 1, minlength=count + 1)[1:]
    visible = np.bincount(np.where(sure, winner, -1).ravel() + 1, minlength=count + 1)[1:]
    accepted = (visible > 0) & (area > 0) & (won >= OVERLAP_THRESHOLD * area)
    segments, ids = NumberedSegments(is_thing), np.zeros(count + 1, np.int32)
    for query in np.flatnonzero(accepted).tolist():
        ids[query] = segments.add(int(labels[kept[query]]), float(chances[kept[query]]))
    return segments.prediction(name, ids[np.where(sure, winner, count)])


def _masks_in_chunks(
    mask_logits: Scores, queries: Indices, size: Sequence[int]
) -> Iterator[tuple[slice, Scores]]:
    """Yield slices of `queries`, and their mask logits (n, *S), given those of all (Q, *s)."""
    step = max(1, MASK_ELEMENTS // prod(size))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        yield rows, resized_rows(mask_logits[np.newaxis, queries[rows]], size, slice(0, size[0]))
