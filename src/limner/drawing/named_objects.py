"""An image with its objects: tinted, outlined or boxed, and named.

Shape legend: H, W image size, N objects.
"""

import numpy as np

from limner.core.boxes import Boxes
from limner.core.labels import LabelTable
from limner.core.picture import Image
from limner.core.segments import Segments
from limner.drawing.box_outlines import draw_box
from limner.drawing.colors import IGNORED_COLOR, class_colors, hatch
from limner.drawing.display import RGBImage, display_image, resize_nearest, resize_picture
from limner.drawing.labelled import Name, middle, write_at
from limner.drawing.segment_colors import segment_overlay

MOST_NAMES = 24
MIN_NAMED_SHARE = 0.001
"""Smaller objects get no name, which would hide them."""


def labelled_segments(image: Image, segments: Segments, table: LabelTable, *, side: int) -> RGBImage:
    """Draw an image with its objects and regions, the longer side `side` pixels long.

    With a single class, each object gets its own colour. With several classes, objects get the colour of
    their class, an outline and their names.

    Args:
        image: (H, W, C) of any number type.
        segments: Segments of the same size, with trained labels.
        table: The classes.
        side: Pixels of the longer side.
    """
    picture, size, factor = _scaled(image, side)
    if factor > 1:
        segments = segments.with_layers(lambda layer: resize_nearest(layer, size))
    by_class = has_class_colors(table)
    outline = max(1, round(1.5 / factor)) if factor < 1 else None
    drawn = segment_overlay(picture, segments, table, outline=outline, by_class=by_class)
    ignored = (segments.flat() == 0) & hatch(segments.spatial_shape)
    drawn[ignored] = (0.4 * drawn[ignored] + 0.6 * np.array(IGNORED_COLOR)).astype(np.uint8)
    drawn = resize_picture(drawn, size)
    return write_at(drawn, _names_of_segments(segments, table, size)) if by_class else drawn


def has_class_colors(table: LabelTable) -> bool:
    """Return whether objects are drawn in class colours instead of one colour each."""
    return int(table.is_thing.sum()) > 1


def labelled_boxes(image: Image, boxes: Boxes, table: LabelTable, *, side: int) -> RGBImage:
    """Draw an image with its boxes in class colours; crowds and difficult objects are dashed.

    Args:
        image: (H, W, C) of any number type.
        boxes: Boxes with trained labels.
        table: The classes.
        side: Pixels of the longer side.
    """
    picture, size, factor = _scaled(image, side)
    drawn: RGBImage = resize_picture(picture, size).copy()
    colors = list(class_colors(table).values())
    names = []
    # Draw the smallest last, so that no larger one hides it; name the largest first.
    for number in np.argsort(-boxes.areas, kind="stable"):
        left, top, right, bottom = (float(side) * factor for side in boxes.xyxy[number])
        label = int(boxes.labels[number])
        is_dashed = bool(boxes.is_ignored[number])
        draw_box(drawn, (left, top, right, bottom), colors[label], is_dashed=is_dashed)
        names.append(Name(table.names[label], (left + right) / 2, top + 10, f"class {label}"))
    return write_at(drawn, names[:MOST_NAMES])


def _scaled(image: Image, side: int) -> tuple[RGBImage, tuple[int, int], float]:
    """Return the picture, enlarged if small; the final size; and the scale factor."""
    picture = display_image(image)
    height, width = picture.shape[:2]
    factor = side / max(height, width)
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    return resize_picture(picture, size) if factor > 1 else picture, size, factor


def _names_of_segments(segments: Segments, table: LabelTable, size: tuple[int, int]) -> list[Name]:
    """Return the names and positions of the larger segments, largest first."""
    small = segments.with_layers(lambda layer: resize_nearest(layer, size))
    areas = small.areas
    names = []
    for number in np.argsort(-areas, kind="stable")[:MOST_NAMES]:
        label = int(small.labels[number])
        if areas[number] < MIN_NAMED_SHARE * size[0] * size[1]:
            break
        if label == table.background_index:
            continue
        mask = np.any(small.layers == number + 1, axis=0).astype(np.uint8)
        crowd = " (crowd)" if small.is_crowd[number] else ""
        names.append(Name(table.names[label] + crowd, *middle(mask), f"class {label}"))
    return names
