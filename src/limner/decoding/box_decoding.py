"""Boxes of one image, found in one pass or in windows.

Shape legend: N boxes, H and W image size.
"""

from collections.abc import Callable, Mapping

import numpy as np

from limner.core.outputs import OutputKind, PointBoxes, QueryBoxes
from limner.core.prediction import BoxPrediction
from limner.decoding.boxes_of_points import boxes_of_points
from limner.decoding.boxes_of_queries import boxes_of_queries
from limner.decoding.found_boxes import MOST_OVERLAP, FoundBoxes, join
from limner.decoding.network_runs import NetworkRuns, Tile
from limner.decoding.seams import merge_cut_boxes

DECODERS: Mapping[OutputKind, Callable[[Tile, tuple[int, int]], FoundBoxes]] = {
    PointBoxes: boxes_of_points,
    QueryBoxes: boxes_of_queries,
}
"""Kind of output -> function from a window and the size (H, W) of the image to the boxes in it."""


def find_boxes(runs: NetworkRuns, *, name: str) -> BoxPrediction:
    """Return the boxes of an image.

    Args:
        runs: Runs of a network that returns one of `DECODERS`.
        name: Name of the prediction.
    """
    height, width = runs.seen_size
    decode = DECODERS[runs.kind]
    parts = [decode(tile, (height, width)) for tile in runs.tiles()]
    found = join(parts)
    if len(parts) > 1:
        found = merge_cut_boxes(found, (height, width)).suppressed(most_overlap=MOST_OVERLAP)
    factors = [new / old for new, old in zip(runs.size, runs.seen_size, strict=True)][::-1]
    xyxy = found.xyxy.cpu().numpy() * np.array([*factors, *factors], np.float32)
    labels, scores = found.labels.cpu().numpy(), found.scores.cpu().numpy()
    return BoxPrediction(name, xyxy, labels, scores, runs.size)
