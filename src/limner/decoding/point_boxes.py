"""Boxes of one image from the outputs of a network that predicts a box at each point.

Shape legend: P points, K classes, N boxes, H and W image size.
"""

import numpy as np
import torch
from torch import Tensor

from limner.core.outputs import Outputs, PointBoxes
from limner.core.prediction import BoxPrediction
from limner.decoding.found_boxes import FoundBoxes, join
from limner.decoding.network_runs import NetworkRuns, Tile
from limner.decoding.seams import merge_cut_boxes

LEAST_SCORE = 0.05
"""Minimum score of a found box, as in FCOS; those with less hardly change any score."""

MOST_OVERLAP = 0.6
"""IoU above which two boxes of a class are of the same object, as in FCOS and ATSS."""

MOST_CANDIDATES = 2000
"""Maximum number of boxes of a window before suppression, those with the highest scores."""

MOST_FOUND = 1000
"""Maximum number of boxes of a window: more than COCO's 100, for images full of cells."""


def find_boxes(runs: NetworkRuns, *, name: str) -> BoxPrediction:
    """Return the boxes of an image, found in one pass or in windows.

    Args:
        runs: Runs of a network that returns `PointBoxes`.
        name: Name of the prediction.
    """
    height, width = runs.seen_size
    parts = [boxes_of_tile(tile, (height, width)) for tile in runs.tiles()]
    found = join(parts)
    if len(parts) > 1:
        found = merge_cut_boxes(found, (height, width)).suppressed(most_overlap=MOST_OVERLAP)
    factors = [new / old for new, old in zip(runs.size, runs.seen_size, strict=True)][::-1]
    xyxy = found.xyxy.cpu().numpy() * np.array([*factors, *factors], np.float32)
    labels, scores = found.labels.cpu().numpy(), found.scores.cpu().numpy()
    return BoxPrediction(name, xyxy, labels, scores, runs.size)


def boxes_of_tile(tile: Tile, size: tuple[int, int]) -> FoundBoxes:
    """Return the boxes of one window in pixels of the image, clipped to it.

    Args:
        tile: The window, whose outputs have one image.
        size: (H, W) of the image.
    """
    outputs = as_point_boxes(tile.outputs)
    num_classes = outputs.class_logits.shape[2]
    scores, places = _candidates(outputs.class_logits[0].float().sigmoid())
    points = places.div(num_classes, rounding_mode="floor")
    window = _window(tile, size, like=outputs.points)
    start = window.new_tensor(tile.start[::-1])
    xyxy = outputs.boxes[0, points].float() + torch.cat((start, start))
    xyxy = torch.minimum(torch.maximum(xyxy, window[:2].repeat(2)), window[2:].repeat(2))
    found = FoundBoxes(xyxy, places % num_classes, scores, window.expand_as(xyxy))
    found = found.select((xyxy[:, 2:] > xyxy[:, :2]).all(1))
    return found.suppressed(most_overlap=MOST_OVERLAP).select(slice(MOST_FOUND))


def as_point_boxes(outputs: Outputs) -> PointBoxes:
    """Return outputs of a network for boxes as such."""
    assert isinstance(outputs, PointBoxes), f"no boxes of points: {type(outputs).__name__}"
    return outputs


def _candidates(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the highest scores of (P, K) in order, and their places in the flattened scores."""
    best, places = scores.flatten().sort(descending=True, stable=True)
    count = min(MOST_CANDIDATES, int((best > LEAST_SCORE).sum()))
    return best[:count], places[:count]


def _window(tile: Tile, size: tuple[int, int], *, like: Tensor) -> Tensor:
    """Return left, top, right and bottom of the part of the image in a window, without padding."""
    low = [max(start, 0) for start in tile.start]
    high = [min(start + side, end) for start, side, end in zip(tile.start, tile.size, size, strict=True)]
    return like.new_tensor([*low[::-1], *high[::-1]])
