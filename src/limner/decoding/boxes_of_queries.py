"""Boxes of one window from the outputs of a network of queries.

Shape legend: Q queries, K classes, N boxes, H and W image size.
"""

import numpy as np
from scipy.special import expit

from limner.decoding.found_boxes import FoundBoxes, best_pairs, place_boxes
from limner.decoding.network_arrays import ArrayTile

LEAST_SCORE = 0.01
"""Minimum score of a found box; those with less hardly change any score."""

MOST_FOUND = 300
"""Maximum number of boxes of a window, as many as queries: the best pairs of a query and a class."""


def boxes_of_queries(tile: ArrayTile, size: tuple[int, int]) -> FoundBoxes:
    """Return the boxes of one window in pixels of the image, clipped to it; each object is predicted once.

    Args:
        tile: The window, whose outputs are those of `QueryBoxes` for one image.
        size: (H, W) of the image.
    """
    scores, queries, labels = best_pairs(
        expit(tile.outputs["class_logits"][0]), least=LEAST_SCORE, most=MOST_FOUND
    )
    boxes = tile.outputs["boxes"][0, queries]
    height, width = tile.size
    middle, half = boxes[:, :2], boxes[:, 2:] / 2
    corners = np.concatenate((middle - half, middle + half), 1) * np.array([width, height] * 2, np.float32)
    return place_boxes(corners, labels, scores, tile, size)
