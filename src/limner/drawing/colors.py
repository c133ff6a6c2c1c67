"""Colours of trained labels: index maps, overlays with outlines, and maps of hits and errors.

Shape legend: H, W image size, K classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from limner.core.labels import RGB, LabelArray, LabelTable, distinct_color
from limner.drawing.display import RGBImage

IGNORED_COLOR: RGB = (128, 128, 128)

DARKEST = 32
"""A class whose brightest channel is below this gets another colour."""

SPARE_COLOR: RGB = (230, 159, 0)
"""The first colour of classes that need another one."""

MOST_KEYS = 100
"""Maximum number of classes in a legend."""

# From the colour-blind safe palette of Okabe and Ito (2008).
HIT: RGB = (255, 255, 255)
FALSE_POSITIVE: RGB = (213, 94, 0)
FALSE_NEGATIVE: RGB = (0, 114, 178)
CONFUSED: RGB = (240, 228, 66)


@dataclass(frozen=True)
class Key:
    """One entry of a legend.

    Attributes:
        name: Meaning of the colour.
        color: RGB colour.
        fallback: Latin text for machines without a font for `name`.
        is_hatched: Whether it is drawn as stripes.
    """

    name: str
    color: RGB
    fallback: str = ""
    is_hatched: bool = False


def overlay(
    image: RGBImage,
    labels: LabelArray,
    table: LabelTable,
    *,
    opacity: float = 0.4,
    outline: int | None = None,
) -> RGBImage:
    """Tint a picture with the classes, each region inside an outline of its own colour.

    The background is not tinted, so the picture stays visible; ignored pixels are hatched in grey.

    Args:
        image: (H, W, 3) uint8.
        labels: (H, W) as in a `LabelMap`.
        table: The classes.
        opacity: Opacity of the tint, 0 to 1; outlines are opaque.
        outline: Width in pixels, 0 for none; defaults to a width that suits the picture's size.
    """
    assert image.shape[:2] == labels.shape, (image.shape, labels.shape)
    colors = _visible(_lookup(table), table)
    painted = labels != (-1 if table.background_index is None else table.background_index)
    painted &= (labels != table.ignore_index) | hatch(labels.shape)
    tint = colors[labels]
    drawn = np.where(painted[..., None], _blend(image, tint, opacity), image)
    edge = outlines(labels, outline_width(labels.shape) if outline is None else outline)
    edge &= painted & (labels != table.ignore_index)
    drawn[edge] = tint[edge]
    return drawn


def outline_width(shape: tuple[int, ...]) -> int:
    """Return the outline width in pixels for a picture of this size: 1 at 256, 3 at 2000."""
    return max(1, round(min(shape[:2]) / 600))


def outcome_map(image: RGBImage, truth: LabelArray, predicted: LabelArray, table: LabelTable) -> RGBImage:
    """Show where a prediction is right or wrong, on the darkened picture.

    White: correct class. Orange: predicted where the truth is background (false positive). Blue: missed
    (false negative). Yellow: one class confused with another. Hatched: ignored.

    Args:
        image: (H, W, 3) uint8.
        truth: (H, W) as in a `LabelMap`.
        predicted: (H, W), without ignored pixels.
        table: The classes; without a background, correct pixels are not coloured and wrong ones are yellow.
    """
    background = table.background_index
    counted, right = truth != table.ignore_index, truth == predicted
    drawn = darkened(image)
    if background is None:
        drawn[counted & ~right] = CONFUSED
    else:
        there, said = counted & (truth != background), counted & (predicted != background)
        drawn[there & right] = HIT
        drawn[said & ~there] = FALSE_POSITIVE
        drawn[there & ~said] = FALSE_NEGATIVE
        drawn[there & said & ~right] = CONFUSED
    drawn[~counted & hatch(truth.shape)] = IGNORED_COLOR
    return drawn


def class_keys(table: LabelTable, *maps: LabelArray) -> list[Key]:
    """Return the legend of the classes that occur in `maps`, without the background.

    Beyond `MOST_KEYS` classes, those with most pixels have an entry, and one more says how many are left. A
    name that no font on this machine can draw is replaced by its trained number, as in the report's labels.
    """
    colors = _visible(_lookup(table), table)
    counts = np.zeros(1 + table.ignore_index, np.int64)
    for labels in maps:
        counts += np.bincount(labels.ravel(), minlength=len(counts))
    ignored, counts = counts[-1], counts[: table.num_classes]
    if table.background_index is not None:
        counts[table.background_index] = 0
    shown = np.sort(np.argsort(-counts, kind="stable")[: min(MOST_KEYS, np.count_nonzero(counts))])
    keys = [Key(table.names[i], _rgb(colors[i]), f"class {i}") for i in shown.tolist()]
    more = np.count_nonzero(counts) - len(keys)
    keys += [Key(f"and {more} more classes", IGNORED_COLOR)] if more else []
    return keys + ([Key("ignored", IGNORED_COLOR, is_hatched=True)] if ignored else [])


def outcome_keys(table: LabelTable) -> list[Key]:
    """Return the legend of `outcome_map`."""
    if table.background_index is None:
        return [Key("wrong class", CONFUSED)]
    keys = [Key("right", HIT), Key("false positive", FALSE_POSITIVE), Key("missed", FALSE_NEGATIVE)]
    return keys + ([Key("wrong class", CONFUSED)] if table.num_classes > 2 else [])


def class_colors(table: LabelTable) -> dict[str, RGB]:
    """Return class name -> its colour in overlays."""
    colors = _visible(_lookup(table), table)
    return {name: _rgb(colors[index]) for index, name in enumerate(table.names)}


def _lookup(table: LabelTable) -> RGBImage:
    """Return (1 + the ignored label, 3) colours by trained label."""
    colors = np.full((1 + table.ignore_index, 3), IGNORED_COLOR, np.uint8)
    colors[: table.num_classes] = table.palette
    return colors


def _visible(colors: RGBImage, table: LabelTable) -> RGBImage:
    """Replace colours that would be mistaken: black, which as a tint looks like a shadow, and repeated ones.

    The background stays as it is, and of equal colours the first one does.
    """
    seen: RGBImage = colors.copy()
    classes = table.foreground_indices
    of_class = {index: _rgb(seen[index]) for index in classes}
    is_first = {color: index for index, color in reversed(of_class.items())}
    taken = set(of_class.values())
    spare = (color for color in _spare_colors() if color not in taken)
    for index, color in of_class.items():
        if max(color) < DARKEST or is_first[color] != index:
            seen[index] = next(spare)
    return seen


def _spare_colors() -> Iterator[RGB]:
    """Yield different colours without end, none of them dark."""
    yield SPARE_COLOR
    yield from (color for color in map(distinct_color, count(1)) if max(color) >= DARKEST)


def _blend(image: RGBImage, tint: RGBImage, opacity: float) -> RGBImage:
    return np.asarray(cv2.addWeighted(image, 1 - opacity, tint, opacity, 0), np.uint8)


def outlines(labels: npt.NDArray[Any], width: int) -> npt.NDArray[np.bool_]:
    """Return the pixels within `width` of a pixel with another label; the image's border does not count."""
    if width == 0:
        return np.zeros(labels.shape, bool)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    return np.asarray((cv2.dilate(labels, kernel) != labels) | (cv2.erode(labels, kernel) != labels))


def hatch(shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Return a mask of diagonal stripes for ignored pixels; their width depends on the size."""
    stripe = max(2, round(min(shape) / 120))
    line = np.arange(shape[0] + shape[1]) // stripe % 3 == 0  # by the sum of row and column
    return sliding_window_view(line, shape[1])[: shape[0]]


def darkened(image: RGBImage) -> RGBImage:
    """Return a darkened greyscale picture, on which colours stand out."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.repeat((grey * 0.45).astype(np.uint8)[..., None], 3, axis=-1)


def _rgb(color: npt.NDArray[np.uint8]) -> RGB:
    red, green, blue = (int(c) for c in color)
    return red, green, blue
