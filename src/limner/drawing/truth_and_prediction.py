"""An image, its truth and its prediction in one picture, with the errors.

Shape legend: H, W image size.
"""

import numpy as np

from limner.core.labels import LabelArray, LabelTable
from limner.core.picture import Image
from limner.drawing.colors import class_keys, outcome_keys, outcome_map, outline_width, overlay
from limner.drawing.display import RGBImage, display_image, resize_nearest, resize_picture
from limner.drawing.panels import Panel, side_by_side

PANEL_SIDE = 420
"""Longer side of each panel in pixels: four fit on a wide screen."""


def comparison(
    image: Image,
    predicted: LabelArray,
    table: LabelTable,
    *,
    truth: LabelArray | None = None,
    title: str = "",
    side: int = PANEL_SIDE,
) -> RGBImage:
    """Draw image, truth, prediction and the map of hits and errors side by side.

    Small images are enlarged before drawing and large ones are reduced afterwards, so outlines have the same
    width on both.

    Args:
        image: (H, W, C) or (H, W) of any number type.
        predicted: (H, W) trained labels, as in a `LabelMap`.
        table: The classes.
        truth: (H, W) as in a `LabelMap`; None draws only image and prediction.
        title: Title line at the top.
        side: Pixels of the longer side of each panel.
    """
    height, width = predicted.shape
    factor = side / max(height, width)
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    picture = display_image(image)
    if factor > 1:
        picture = resize_picture(picture, size)
        predicted = resize_nearest(predicted, size)
        truth = None if truth is None else resize_nearest(truth, size)
    outline = max(1, round(1.5 / min(factor, 1))) if factor < 1 else outline_width(size)
    panels = [Panel("image", picture)]
    if truth is not None:
        panels.append(Panel("truth", overlay(picture, truth, table, outline=outline)))
    panels.append(Panel("prediction", overlay(picture, predicted, table, outline=outline)))
    legend = class_keys(table, predicted)
    if truth is not None:
        panels.append(Panel("hits and errors", outcome_map(picture, truth, predicted, table)))
        legend = class_keys(table, truth, predicted) + outcome_keys(table)
    shrunk = [Panel(p.title, resize_picture(p.picture, size)) for p in panels]
    return side_by_side(shrunk, title=title, legend=legend)


def slice_with_most_foreground(labels: LabelArray, table: LabelTable) -> int:
    """Return the index of the slice (first axis) with the most foreground pixels.

    Args:
        labels: (D, H, W), as in a `LabelMap`.
        table: The classes.
    """
    background = -1 if table.background_index is None else table.background_index
    shown = (labels != background) & (labels != table.ignore_index)
    return int(np.argmax(shown.reshape(len(labels), -1).sum(1)))
