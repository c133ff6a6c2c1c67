"""Found boxes on an image, and which were found and missed.

Shape legend: H, W image size, N boxes.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from limner.core.boxes import Boxes, incomplete
from limner.core.labels import RGB, LabelTable
from limner.core.picture import Image
from limner.drawing.box_outlines import draw_box
from limner.drawing.colors import FALSE_NEGATIVE, FALSE_POSITIVE, HIT, Key, class_colors, darkened
from limner.drawing.display import RGBImage, display_image, resize_picture
from limner.drawing.labelled import Name, write_at
from limner.drawing.panels import Panel, side_by_side
from limner.drawing.truth_and_prediction import PANEL_SIDE

MATCH = 0.5
"""IoU from which a found box matches a true one, as in the scores."""

MOST_NAMES = 60
"""Maximum number of boxes with names; more would hide the image."""

NAMES_FROM = 24
"""Minimum width and height in pixels of a box with a name."""


def box_overlay(
    image: RGBImage,
    boxes: Boxes,
    table: LabelTable,
    *,
    scores: Sequence[float] | None = None,
    names: bool = True,
) -> RGBImage:
    """Draw boxes in class colours, the larger ones with their names; ignored true boxes are dashed.

    Args:
        image: (H, W, 3) uint8.
        boxes: Boxes with trained labels, in pixels of the picture.
        table: The classes.
        scores: N scores to write behind the names.
        names: Whether to write names.
    """
    colors = list(class_colors(table).values())
    drawn = _outlined(image, boxes, [colors[label] for label in boxes.labels.tolist()])
    if not names:
        return drawn
    sides = (boxes.xyxy[:, 2:] - boxes.xyxy[:, :2]).min(1) if len(boxes) else np.zeros(0)
    order = [i for i in np.argsort(-boxes.areas, kind="stable")[:MOST_NAMES] if sides[i] >= NAMES_FROM]
    return write_at(drawn, [_name(boxes, i, table, scores) for i in order])


def box_comparison(
    image: Image, predicted: Boxes, table: LabelTable, *, truth: Boxes | None = None, title: str = ""
) -> RGBImage:
    """Draw image, truth, prediction, and what was found and missed, side by side.

    Args:
        image: (H, W, C) of any number type.
        predicted: Boxes to show, with trained labels.
        table: The classes.
        truth: Boxes with trained labels; None draws only image and prediction.
        title: Title line at the top.
    """
    picture = display_image(image)
    factor = PANEL_SIDE / max(picture.shape[:2])
    size = max(1, round(picture.shape[0] * factor)), max(1, round(picture.shape[1] * factor))
    picture, predicted = resize_picture(picture, size), _zoomed(predicted, factor, size)
    panels, legend = (
        [Panel("image", picture)],
        [Key(name, color, f"class {i}") for i, (name, color) in enumerate(class_colors(table).items())],
    )
    if truth is not None:
        truth = _zoomed(truth, factor, size)
        panels.append(Panel("truth", box_overlay(picture, truth, table, names=False)))
    panels.append(Panel("prediction", box_overlay(picture, predicted, table, names=False)))
    if truth is not None:
        panels.append(Panel("found and missed", boxes_found_and_missed(picture, truth, predicted)))
        legend += [Key("found", HIT), Key("not there", FALSE_POSITIVE), Key("missed", FALSE_NEGATIVE)]
    return side_by_side(panels, title=title, legend=legend)


def boxes_found_and_missed(image: RGBImage, truth: Boxes, predicted: Boxes) -> RGBImage:
    """Show which boxes were found, on the darkened picture.

    White: a found box that overlaps a true one of its class with an IoU of 0.5 or more; each true box is
    found once, by the first. Orange: found without such a match. Blue: missed. Crowds and difficult
    objects, and what was found there, are left out.
    """
    overlaps = np.where(truth.labels[:, None] == predicted.labels, _overlaps(truth, predicted), 0)
    matches = overlaps >= MATCH
    is_missed, is_right = ~truth.is_ignored, np.zeros(len(predicted), bool)
    for number in np.flatnonzero(matches[is_missed].any(0)).tolist():
        free = np.where(is_missed & matches[:, number], overlaps[:, number], 0)
        if free.any():
            is_right[number], is_missed[free.argmax()] = True, False
    is_unknown = np.isin(predicted.labels, incomplete(predicted.labels, truth.complete))
    is_wrong = np.asarray(~is_right & ~matches[truth.is_ignored].any(0) & ~is_unknown)
    drawn = darkened(image)
    for boxes, chosen, color in (
        (predicted, is_right, HIT),
        (predicted, is_wrong, FALSE_POSITIVE),
        (truth, is_missed, FALSE_NEGATIVE),
    ):
        shown = boxes.select(chosen)
        drawn = _outlined(drawn, shown, [color] * len(shown))
    return drawn


def _outlined(image: RGBImage, boxes: Boxes, colors: Sequence[RGB]) -> RGBImage:
    """Draw the boxes on a copy, the smallest last, so that no larger one hides it."""
    drawn: RGBImage = image.copy()
    for number in np.argsort(-boxes.areas, kind="stable"):
        is_dashed = bool(boxes.is_ignored[number])
        draw_box(drawn, boxes.xyxy[number].tolist(), colors[number], is_dashed=is_dashed)
    return drawn


def _name(boxes: Boxes, number: int, table: LabelTable, scores: Sequence[float] | None) -> Name:
    left, top, right, _ = boxes.xyxy[number].tolist()
    label = int(boxes.labels[number])
    score = "" if scores is None else f" {scores[number]:.2f}"
    return Name(f"{table.names[label]}{score}", (left + right) / 2, top + 10, f"class {label}{score}")


def _zoomed(boxes: Boxes, factor: float, size: tuple[int, int]) -> Boxes:
    return replace(boxes, xyxy=boxes.xyxy * np.float32(factor), shape=size)


def _overlaps(boxes: Boxes, others: Boxes) -> npt.NDArray[np.float32]:
    """Return (N, M) IoUs; of crowds, the fraction of the other box that is in one."""
    low = np.maximum(boxes.xyxy[:, None, :2], others.xyxy[None, :, :2])
    high = np.minimum(boxes.xyxy[:, None, 2:], others.xyxy[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(-1)
    union = np.where(boxes.is_crowd, 0, boxes.areas)[:, None] + others.areas[None]
    union -= np.where(boxes.is_crowd[:, None], 0, shared)
    return np.asarray(shared / np.maximum(union, 1e-6), np.float32)
