"""Boxes of one window from the outputs of a network that predicts a box at each point.

Shape legend: P points, K classes, N boxes, H and W image size.
"""

from torch import Tensor

from limner.core.outputs import Outputs, PointBoxes
from limner.decoding.found_boxes import MOST_OVERLAP, FoundBoxes, best_pairs, place_boxes
from limner.decoding.network_runs import Tile

LEAST_SCORE = 0.2
"""Minimum score of a found box; those with less hardly change any score."""

MOST_CANDIDATES = 1000
"""Maximum number of boxes of a window before suppression, those with the highest scores."""

MOST_FOUND = 1000
"""Maximum number of boxes of a window: more than COCO's 100, for images full of cells."""


def boxes_of_points(tile: Tile, size: tuple[int, int]) -> FoundBoxes:
    """Return the boxes of one window in pixels of the image, clipped to it, without duplicates.

    Args:
        tile: The window, whose outputs have one image.
        size: (H, W) of the image.
    """
    outputs = as_point_boxes(tile.outputs)
    scores, points, labels = best_pairs(
        point_scores(outputs.class_logits[0]), least=LEAST_SCORE, most=MOST_CANDIDATES
    )
    found = place_boxes(outputs.boxes[0, points].float(), labels, scores, tile, size)
    return found.suppressed(most_overlap=MOST_OVERLAP).select(slice(MOST_FOUND))


def point_scores(logits: Tensor) -> Tensor:
    """Return the scores of logits, of any shape.

    What is learned is the chance of the class times the IoU; their geometric mean is the score, as in FCOS.
    """
    return logits.float().sigmoid().sqrt()


def as_point_boxes(outputs: Outputs) -> PointBoxes:
    """Return outputs of a network for boxes as such."""
    assert isinstance(outputs, PointBoxes), f"no boxes of points: {type(outputs).__name__}"
    return outputs
