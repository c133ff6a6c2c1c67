"""Boxes of one window from the outputs of a network that predicts a box at each point.

Shape legend: P points, K classes, N boxes, H and W image size.
"""

from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from limner.decoding.found_boxes import MOST_OVERLAP, FoundBoxes, best_pairs, place_boxes
from limner.decoding.network_arrays import ArrayTile

if TYPE_CHECKING:
    from torch import Tensor

Chances = TypeVar("Chances", npt.NDArray[np.float32], "Tensor")

LEAST_SCORE = 0.2
"""Minimum score of a found box; those with less hardly change any score."""

MOST_CANDIDATES = 1000
"""Maximum number of boxes of a window before suppression, those with the highest scores."""

MOST_FOUND = 1000
"""Maximum number of boxes of a window: more than COCO's 100, for images full of cells."""


def boxes_of_points(tile: ArrayTile, size: tuple[int, int]) -> FoundBoxes:
    """Return the boxes of one window in pixels of the image, clipped to it, without duplicates.

    Args:
        tile: The window, whose outputs are those of `PointBoxes` for one image.
        size: (H, W) of the image.
    """
    scores, points, labels = best_pairs(
        point_scores(expit(tile.outputs["class_logits"][0])), least=LEAST_SCORE, most=MOST_CANDIDATES
    )
    found = place_boxes(tile.outputs["boxes"][0, points], labels, scores, tile, size)
    return found.suppressed(most_overlap=MOST_OVERLAP).select(slice(MOST_FOUND))


def point_scores(chances: Chances) -> Chances:
    """Return the scores of what points learn, of any shape.

    That is the chance of the class times the IoU; their geometric mean is the score, as in FCOS.
    """
    return chances**0.5
