"""Boxes of one image, found in one pass or in windows.

Shape legend: N boxes, H and W image size.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from limner.core.prediction import BoxPrediction
from limner.decoding.boxes_of_points import boxes_of_points
from limner.decoding.boxes_of_queries import boxes_of_queries
from limner.decoding.found_boxes import MOST_OVERLAP, FoundBoxes, join
from limner.decoding.network_arrays import ArrayTile
from limner.decoding.seams import merge_cut_boxes

DECODERS: Mapping[str, Callable[[ArrayTile, tuple[int, int]], FoundBoxes]] = {
    "PointBoxes": boxes_of_points,
    "QueryBoxes": boxes_of_queries,
}
"""Name of a kind of output -> function from a window and the size (H, W) of the image to the boxes in it."""


def find_boxes(
    tiles: Iterable[ArrayTile],
    *,
    kind: str,
    size: tuple[int, ...],
    seen_size: tuple[int, ...],
    name: str,
) -> BoxPrediction:
    """Return the boxes of an image.

    Args:
        tiles: The outputs of each window, at least one.
        kind: Name of their kind, one of `DECODERS`.
        size: (H, W) of the image.
        seen_size: (H, W) of what the network sees of it, without padding.
        name: Name of the prediction.
    """
    height, width = seen_size
    parts = [DECODERS[kind](tile, (height, width)) for tile in tiles]
    found = join(parts)
    if len(parts) > 1:
        found = merge_cut_boxes(found, (height, width)).suppressed(most_overlap=MOST_OVERLAP)
    factors = [new / old for new, old in zip(size, seen_size, strict=True)][::-1]
    xyxy = found.xyxy * np.array([*factors, *factors], np.float32)
    return BoxPrediction(name, xyxy, found.labels, found.scores, size)
