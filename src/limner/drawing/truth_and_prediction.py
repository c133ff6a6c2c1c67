"""One image, its truth and its prediction, in one picture that shows what went wrong.

Shape legend: H, W image size.
"""

import numpy as np

from limner.core.labels import LabelArray, LabelTable
from limner.core.picture import Image
from limner.drawing.colors import class_keys, outcome_keys, outcome_map, outline_width, overlay
from limner.drawing.display import RGBImage, display_image, resize_image, resize_labels
from limner.drawing.panels import Panel, side_by_side

PANEL_SIDE = 420
"""Pixels of the longer side of each panel: four fit a wide screen."""


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

    Small images are enlarged before anything is drawn on them and large ones are shrunk afterwards, so
    outlines are equally fine on both.

    Args:
        image: (H, W, C) or (H, W) of any number type.
        predicted: (H, W) trained labels, as in a `LabelMap`.
        table: The classes.
        truth: (H, W) as in a `LabelMap`; None draws image and prediction only.
        title: A line above.
        side: Pixels of the longer side of each panel.
    """
    height, width = predicted.shape
    factor = side / max(height, width)
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    picture = display_image(image)
    if factor > 1:
        picture = resize_image(picture, size)
        predicted = resize_labels(predicted, size)
        truth = None if truth is None else resize_labels(truth, size)
    outline = max(1, round(1.5 / min(factor, 1))) if factor < 1 else outline_width(size)
    panels = [Panel("image", picture)]
    if truth is not None:
        panels.append(Panel("truth", overlay(picture, truth, table, outline=outline)))
    panels.append(Panel("prediction", overlay(picture, predicted, table, outline=outline)))
    legend = class_keys(table, predicted)
    if truth is not None:
        panels.append(Panel("hits and errors", outcome_map(picture, truth, predicted, table)))
        legend = class_keys(table, truth, predicted) + outcome_keys(table)
    shrunk = [Panel(p.title, resize_image(p.picture, size)) for p in panels]
    return side_by_side(shrunk, title=title, legend=legend)


def slice_with_most_foreground(labels: LabelArray, table: LabelTable) -> int:
    """Return the slice of a volume (first axis) that shows most: the one with most foreground pixels.

    Args:
        labels: (D, H, W), as in a `LabelMap`.
        table: The classes.
    """
    background = -1 if table.background_index is None else table.background_index
    shown = (labels != background) & (labels != table.ignore_index)
    return int(np.argmax(shown.reshape(len(labels), -1).sum(1)))
