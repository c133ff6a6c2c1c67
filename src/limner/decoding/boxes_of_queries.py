"""Boxes of one window from the outputs of a network of queries.

Shape legend: Q queries, K classes, N boxes, H and W image size.
"""

from limner.core.box_geometry import as_corners
from limner.core.outputs import Outputs, QueryBoxes
from limner.decoding.found_boxes import FoundBoxes, best_pairs, place_boxes
from limner.decoding.network_runs import Tile

LEAST_SCORE = 0.01
"""Minimum score of a found box; those with less hardly change any score."""

MOST_FOUND = 300
"""Maximum number of boxes of a window, as many as queries: the best pairs of a query and a class."""


def boxes_of_queries(tile: Tile, size: tuple[int, int]) -> FoundBoxes:
    """Return the boxes of one window in pixels of the image, clipped to it; each object is predicted once.

    Args:
        tile: The window, whose outputs have one image.
        size: (H, W) of the image.
    """
    outputs = as_query_boxes(tile.outputs)
    scores, queries, labels = best_pairs(
        outputs.class_logits[0].float().sigmoid(), least=LEAST_SCORE, most=MOST_FOUND
    )
    height, width = tile.size
    corners = as_corners(outputs.boxes[0, queries].float())
    return place_boxes(corners * corners.new_tensor([width, height] * 2), labels, scores, tile, size)


def as_query_boxes(outputs: Outputs) -> QueryBoxes:
    """Return outputs of a network for boxes as such."""
    assert isinstance(outputs, QueryBoxes), f"no boxes of queries: {type(outputs).__name__}"
    return outputs
