"""Maps of pixels from the outputs of an exported network, and their resizing, with NumPy alone.

Shape legend: K classes, D number of spatial axes, Q queries, *s network resolution, *S wanted resolution.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from limner.decoding.network_arrays import ArrayView, Logits, NamedArrays, PixelArrays, QueryArrays, index_of

PIXEL_MAPS = ("CentreOffsets", "TextMaps")
"""Names of the output kinds with maps other than classes, all of which are blended."""

CHUNK_ELEMENTS = 2**20
"""Scores in memory at full resolution at once: 4 MiB, which fits in the CPU cache."""

LEAST = 1e-12
"""Added to the class scores from queries, so that pixels in no mask get a class too."""

Scores = npt.NDArray[np.float32]
"""(K, *box) maps of a part of an image at its full resolution."""


def pixel_arrays(kind: str, outputs: NamedArrays, size: Sequence[int]) -> PixelArrays:
    """Return what the outputs of a kind tell about each pixel.

    Args:
        kind: Name of the kind.
        outputs: The outputs.
        size: Size of what the network saw.

    Returns:
        Logits (1, K, *s), or queries. Of centres and offsets (1, K + 2 + D, *s): logits of the classes and of
        "nothing", heat, and offsets in pixels of what the network saw.
    """
    if kind == "QueryMasks":
        return queries_of(outputs)
    if kind != "CentreOffsets":
        return np.asarray(outputs["logits"], np.float32)
    offsets = outputs["offsets"]
    factors = [new / old for new, old in zip(size, offsets.shape[2:], strict=True)]
    scaled = offsets * np.array(factors, np.float32).reshape(1, -1, *[1] * len(factors))
    return np.concatenate((outputs["class_logits"], outputs["centres"], scaled), 1)


def queries_of(outputs: NamedArrays) -> QueryArrays:
    """Return the queries of one image."""
    chances = softmax(outputs["class_logits"][0].T)[:-1]
    features = outputs["features"][0]
    masks = outputs["embeddings"][0] @ features.reshape(len(features), -1)
    return QueryArrays(chances, masks.reshape(1, -1, *features.shape[1:]))


def scores_at(maps: PixelArrays, size: Sequence[int], rows: slice) -> Scores:
    """Return rows of the scores (K, rows, ...) of maps that are resized to *S.

    Of queries, the logarithm of the class probabilities: each query adds that of its class times that of its
    mask, as in Mask2Former's semantic inference (Cheng et al., CVPR 2022).
    """
    if not isinstance(maps, QueryArrays):
        return resized_rows(maps, size, rows)
    masks = expit(resized_rows(maps.mask_logits, size, rows))
    votes = (maps.chances @ masks.reshape(len(masks), -1)).reshape(-1, *masks.shape[1:]) + np.float32(LEAST)
    return np.asarray(np.log(votes / votes.sum(0)), np.float32)


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


def joined_parts(view: ArrayView) -> PixelArrays:
    """Return the maps of all parts of a view, still mirrored, at its size; those of one part as they are."""
    whole: Logits | None = None
    for box, maps in view.parts():
        if tuple(side.stop - side.start for side in box) == view.size:
            return maps
        assert not isinstance(maps, QueryArrays), "parts of a view are blended maps"
        if whole is None:
            whole = np.empty((*maps.shape[:2], *view.size), np.float32)
        whole[index_of(box)] = maps
    assert whole is not None, "a view has parts"
    return whole
