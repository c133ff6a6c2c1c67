"""An image with its labels: tinted and outlined regions with class names.

Shape legend: H, W image size.
"""

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw

from limner.core.labels import LabelArray, LabelTable
from limner.core.picture import Image
from limner.drawing.colors import outline_width, overlay
from limner.drawing.display import RGBImage, Tones, display_image, resize_nearest, resize_picture
from limner.drawing.fonts import FONT_SIZE, text_and_font

MIN_NAMED_SHARE = 0.004
"""Smaller regions get no name, which would cover them."""

MOST_NAMES = 12


def labelled(
    image: Image,
    labels: LabelArray | None,
    table: LabelTable,
    *,
    side: int,
    names: bool = True,
    tones: Tones | None = None,
) -> RGBImage:
    """Draw an image with its labels, the longer side `side` pixels long.

    Small images are enlarged before drawing and large ones are reduced afterwards, so outlines have the same
    width on both.

    Args:
        image: (H, W, C) of any number type.
        labels: (H, W) as in a `LabelMap`; None draws the image alone.
        table: The classes.
        side: Pixels of the longer side.
        names: Write class names into the largest regions.
        tones: The values to draw black and white; defaults to the image's own.
    """
    picture = display_image(image, tones)
    height, width = picture.shape[:2]
    factor = side / max(height, width)
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    if labels is None:
        return resize_picture(picture, size)
    if factor > 1:
        picture, labels = resize_picture(picture, size), resize_nearest(labels, size)
    outline = max(1, round(1.5 / min(factor, 1))) if factor < 1 else outline_width(size)
    drawn = resize_picture(overlay(picture, labels, table, outline=outline), size)
    return write_names(drawn, resize_nearest(labels, size), table) if names else drawn


def write_names(picture: RGBImage, labels: LabelArray, table: LabelTable) -> RGBImage:
    """Write the name of each class into its largest region, except for background and ignored pixels.

    Larger regions come first; a name that would cover another is omitted, since the legend includes it.

    Args:
        picture: (H, W, 3) uint8, drawn on a copy.
        labels: (H, W) of the same size, as in a `LabelMap`.
        table: The classes.
    """
    counts = np.bincount(labels.ravel(), minlength=table.num_classes)
    silent = {table.ignore_index, table.background_index}
    by_size = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i] and int(i) not in silent]
    names = []
    for index in by_size[:MOST_NAMES]:
        region = _largest_region((labels == index).view(np.uint8))
        if region.sum() >= MIN_NAMED_SHARE * labels.size:
            names.append(Name(table.names[index], *middle(region), f"class {index}"))
    return write_at(picture, names)


class Name(NamedTuple):
    """A text, the point it is centred on, and the `fallback` if no font has its letters."""

    text: str
    x: float
    y: float
    fallback: str = ""


def write_at(picture: RGBImage, names: Iterable[Name]) -> RGBImage:
    """Write names on a copy of a picture; a name that would cover an earlier one is omitted."""
    canvas = PILImage.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    written: list[tuple[float, float, float]] = []
    for name in names:
        text, font = text_and_font(name.text, fallback=name.fallback)
        width = font.getlength(text)
        left = min(max(2.0, name.x - width / 2), max(2.0, picture.shape[1] - width - 2))
        top = min(max(0.0, name.y - 9), max(0.0, picture.shape[0] - FONT_SIZE - 3))
        if any(left < end and start < left + width and abs(top - t) < FONT_SIZE for start, end, t in written):
            continue
        written.append((left, left + width, top))
        draw.text((left, top), text, font=font, fill="white", stroke_width=2, stroke_fill=(20, 20, 20))
    return np.asarray(canvas)


def _largest_region(mask: LabelArray) -> LabelArray:
    count, regions, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    largest = 1 + int(np.argmax(stats[1:count, cv2.CC_STAT_AREA]))
    return np.asarray(regions == largest, np.uint8)


def middle(region: LabelArray) -> tuple[int, int]:
    """Return (x, y) of the pixel farthest from the region's border; the border of the picture counts."""
    padded = cv2.copyMakeBorder(region, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    distances = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
    row, column = np.unravel_index(int(np.argmax(distances)), distances.shape)
    return int(column) - 1, int(row) - 1
