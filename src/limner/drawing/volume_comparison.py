"""A volume with its truth and its prediction in one picture: three views, and slices with the errors.

Shape legend: h, w size of a plane.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from limner.core.labels import LabelArray, LabelTable
from limner.core.picture import Image
from limner.drawing.colors import class_keys, outcome_keys, outcome_map, outline_width, overlay
from limner.drawing.display import RGBImage, Tones, display_image, resize_nearest, resize_picture
from limner.drawing.grid import Row, sheet
from limner.drawing.panels import Panel

SIDE = 180
"""Longer side of the largest plane in pixels."""

IN_A_ROW = 4
"""Slices of the montage beside each view."""


@dataclass(frozen=True)
class Plane:
    """One plane of a volume.

    Attributes:
        title: Its name, such as ``axial``.
        image: (h, w, C) of any number type, with square pixels.
        predicted: (h, w) trained labels.
        truth: (h, w), or None if unknown.
    """

    title: str
    image: Image
    predicted: LabelArray
    truth: LabelArray | None


def volume_comparison(
    views: Sequence[Plane], slices: Sequence[Plane], table: LabelTable, *, tones: Tones, title: str = ""
) -> RGBImage:
    """Draw the views with image, truth, prediction and errors in rows, and the slices beside them.

    Args:
        views: Planes at right angles; all are drawn at the same scale.
        slices: Parallel planes for the montage, at most `IN_A_ROW` for each view.
        table: The classes.
        tones: The values of the volume to draw black and white.
        title: Title line at the top.
    """
    factor = SIDE / max(max(plane.predicted.shape) for plane in views)
    montage = [_outcome(plane, _factor(plane), table, tones) for plane in slices]
    rows = [
        Row("", (*_panels(view, factor, table, tones), *montage[i * IN_A_ROW : (i + 1) * IN_A_ROW]))
        for i, view in enumerate(views)
    ]
    maps = [view.predicted for view in views]
    truths = [view.truth for view in views if view.truth is not None]
    legend = class_keys(table, *truths, *maps) + (outcome_keys(table) if truths else [])
    columns = max(len(row.panels) for row in rows)
    return sheet(rows, columns=columns, side=SIDE, title=title, legend=legend)


def _factor(plane: Plane) -> float:
    longer: int = max(plane.predicted.shape)
    return SIDE / longer


def _panels(view: Plane, factor: float, table: LabelTable, tones: Tones) -> list[Panel]:
    """Return the panels of a view: without truth, image and prediction."""
    picture, predicted, truth = _scaled(view, factor, tones)
    outline = outline_width(picture.shape[:2])
    panels = [Panel(f"{view.title}: image", picture)]
    if truth is not None:
        panels.append(Panel("truth", overlay(picture, truth, table, outline=outline)))
    panels.append(Panel("prediction", overlay(picture, predicted, table, outline=outline)))
    if truth is not None:
        panels.append(Panel("hits and errors", outcome_map(picture, truth, predicted, table)))
    return panels


def _outcome(plane: Plane, factor: float, table: LabelTable, tones: Tones) -> Panel:
    """Return a slice of the montage: hits and errors, or the prediction if the truth is unknown."""
    picture, predicted, truth = _scaled(plane, factor, tones)
    if truth is None:
        drawn = overlay(picture, predicted, table, outline=outline_width(picture.shape[:2]))
    else:
        drawn = outcome_map(picture, truth, predicted, table)
    return Panel(plane.title, drawn)


def _scaled(plane: Plane, factor: float, tones: Tones) -> tuple[RGBImage, LabelArray, LabelArray | None]:
    """Return image, prediction and truth of a plane at the size in which they are drawn."""
    height, width = plane.predicted.shape
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    picture = resize_picture(display_image(plane.image, tones), size)
    truth = None if plane.truth is None else resize_nearest(plane.truth, size)
    return picture, resize_nearest(plane.predicted, size), truth
