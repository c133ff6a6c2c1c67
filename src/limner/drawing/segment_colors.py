"""Colours of objects and regions: one colour per object, and which were found and missed.

Shape legend: H, W image size, N segments.
"""

import colorsys

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelTable
from limner.core.picture import Image
from limner.core.segments import Segments
from limner.drawing.colors import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    HIT,
    Key,
    class_colors,
    darkened,
    outline_width,
    outlines,
)
from limner.drawing.display import RGBImage, display_image, resize_nearest, resize_picture
from limner.drawing.panels import Panel, side_by_side
from limner.drawing.truth_and_prediction import PANEL_SIDE

GOLDEN = 0.6180339887
"""Hue step as a fraction of the circle (golden ratio), so that successive hues differ clearly."""

MATCH = 0.5
"""IoU above which a predicted segment matches a true one."""


def segment_overlay(
    image: RGBImage,
    segments: Segments,
    table: LabelTable,
    *,
    opacity: float = 0.45,
    outline: int | None = None,
    by_class: bool = False,
) -> RGBImage:
    """Tint a picture with its segments: one colour per object, class colours for stuff.

    Args:
        image: (H, W, 3) uint8.
        segments: Segments with trained labels; where they overlap, the smaller one is on top.
        table: The classes.
        opacity: Opacity of the tint; outlines are opaque.
        outline: Width in pixels; defaults to a width that suits the picture's size.
        by_class: Use class colours for objects too; they are then separated only by outlines.
    """
    numbers: npt.NDArray[np.uint16] = segments.flat().astype(np.uint16)
    colors = _colors(segments, table, by_class=by_class)
    painted = (numbers > 0) & ~_is_background(segments, table)[numbers]
    tint = colors[numbers]
    drawn: RGBImage = image.copy()
    blended = cv2.addWeighted(image, 1 - opacity, tint, opacity, 0)
    drawn[painted] = np.asarray(blended)[painted]
    edge = painted & outlines(numbers, outline_width(numbers.shape) if outline is None else outline)
    drawn[edge] = tint[edge]
    return drawn


def found_and_missed(image: RGBImage, truth: Segments, predicted: Segments, table: LabelTable) -> RGBImage:
    """Show which segments were found, on the darkened picture.

    White: a true and a predicted segment of one class with an IoU above 0.5. Orange: predicted without such a
    match. Blue: missed. The background and crowds are left dark.
    """
    matched_true, matched_found = _matched(truth, predicted)
    true_seen = ~_is_background(truth, table)[1:] & ~truth.is_crowd
    found_seen = ~_is_background(predicted, table)[1:]
    drawn = darkened(image)
    for segments, chosen, color in (
        (truth, matched_true & true_seen, HIT),
        (predicted, ~matched_found & found_seen, FALSE_POSITIVE),
        (truth, ~matched_true & true_seen, FALSE_NEGATIVE),
    ):
        drawn[segments.select(chosen).flat() > 0] = color
    return drawn


def segment_comparison(
    image: Image, predicted: Segments, table: LabelTable, *, truth: Segments | None = None, title: str = ""
) -> RGBImage:
    """Draw image, truth, prediction, and what was found and missed, side by side.

    Args:
        image: (H, W, C) of any number type.
        predicted: Segments to show, with trained labels.
        table: The classes.
        truth: Segments with trained labels; None draws only image and prediction.
        title: Title line at the top.
    """
    height, width = predicted.spatial_shape
    factor = PANEL_SIDE / max(height, width)
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    picture = display_image(image)
    if factor > 1:
        picture, predicted = resize_picture(picture, size), _resized(predicted, size)
        truth = None if truth is None else _resized(truth, size)
    outline = max(1, round(1.5 / factor)) if factor < 1 else None
    shown = segment_overlay(picture, predicted, table, outline=outline)
    panels, legend = [Panel("image", picture), Panel("prediction", shown)], []
    if truth is not None:
        panels.insert(1, Panel("truth", segment_overlay(picture, truth, table, outline=outline)))
        panels.append(Panel("found and missed", found_and_missed(picture, truth, predicted, table)))
        legend = [Key("found", HIT), Key("not there", FALSE_POSITIVE), Key("missed", FALSE_NEGATIVE)]
    shrunk = [Panel(panel.title, resize_picture(panel.picture, size)) for panel in panels]
    return side_by_side(shrunk, title=title, legend=legend)


def _resized(segments: Segments, size: tuple[int, int]) -> Segments:
    return segments.with_layers(lambda layer: resize_nearest(layer, size))


def _colors(segments: Segments, table: LabelTable, *, by_class: bool) -> RGBImage:
    """Return (N + 1, 3) colours: of no segment, then of each segment."""
    of_class = list(class_colors(table).values())
    colors = np.zeros((len(segments) + 1, 3), np.uint8)
    for number, label in enumerate(segments.labels):
        hue, bright = number * GOLDEN % 1, (1.0, 0.8)[number // 7 % 2]
        own = [round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.75, bright)]
        colors[number + 1] = own if table.is_thing[label] and not by_class else of_class[label]
    return colors


def _is_background(segments: Segments, table: LabelTable) -> npt.NDArray[np.bool_]:
    """Return (N + 1,) flags: of no segment, then of each segment."""
    background = -1 if table.background_index is None else table.background_index
    return np.concatenate([[False], segments.labels == background])


def _matched(truth: Segments, predicted: Segments) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which true and which predicted segments match one of their class."""
    width = len(predicted) + 1
    pairs = truth.flat().astype(np.int64) * width + predicted.flat()
    shared = np.bincount(pairs.ravel(), minlength=(len(truth) + 1) * width).reshape(-1, width)
    union = shared.sum(1, keepdims=True) + shared.sum(0, keepdims=True) - shared
    iou = (shared / np.maximum(union, 1))[1:, 1:] * (truth.labels[:, None] == predicted.labels)
    return (iou > MATCH).any(1), (iou > MATCH).any(0)
