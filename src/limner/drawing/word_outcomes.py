"""Words in pictures: outlines of found words, and which are right, wrong and missed.

Shape legend: H, W picture size, T true words, F found words.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.labels import RGB
from limner.core.picture import Image
from limner.core.words import Polygon, Words
from limner.drawing.colors import FALSE_NEGATIVE, FALSE_POSITIVE, HIT, IGNORED_COLOR, Key, darkened
from limner.drawing.display import RGBImage, display_image, resize_picture
from limner.drawing.drawn_words import READ, draw_words
from limner.drawing.panels import Panel, side_by_side
from limner.drawing.truth_and_prediction import PANEL_SIDE

SHIFT = 4
"""Fractional bits of coordinates in OpenCV's drawing functions."""

FILL = 0.45
"""Opacity of the inside of a word."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class WordOutcomes:
    """Which words of an image are right.

    Attributes:
        is_true_found: (T,) whether a true word was found.
        is_found_right: (F,) whether a found word is right.
        is_found_counted: (F,) whether a found word counts; others are in illegible words.
    """

    is_true_found: Flags
    is_found_right: Flags
    is_found_counted: Flags


def word_overlay(picture: RGBImage, polygons: Sequence[Polygon], *, width: int | None = None) -> RGBImage:
    """Outline words on a picture.

    Args:
        picture: (H, W, 3) uint8.
        polygons: Outlines in its pixels.
        width: Width of the lines in pixels; defaults to one that suits the picture's size.
    """
    width = max(2, round(max(picture.shape[:2]) / 640)) if width is None else width
    drawn: RGBImage = picture.copy()
    cv2.polylines(drawn, _fixed_point(polygons), True, READ, width, cv2.LINE_AA, SHIFT)
    return drawn


def word_comparison(
    image: Image,
    found: Sequence[Polygon],
    *,
    truth: Words | None = None,
    outcomes: WordOutcomes | None = None,
    title: str = "",
) -> RGBImage:
    """Draw image, true words, found words, and the right, wrong and missed ones, side by side.

    Args:
        image: (H, W, C) of any number type.
        found: F outlines in the image's pixels.
        truth: T words; None draws only image and found words.
        outcomes: Which of them are right; with `truth` only.
        title: Title line at the top.
    """
    height, width = image.shape[:2]
    factor = PANEL_SIDE / max(height, width)
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    picture = resize_picture(display_image(image), size)
    scale = np.array([size[1] / width, size[0] / height])
    scaled = [polygon * scale for polygon in found]
    panels = [Panel("image", picture), Panel("prediction", word_overlay(picture, scaled, width=1))]
    legend: list[Key] = []
    if truth is not None and outcomes is not None:
        panels.insert(1, Panel("truth", draw_words(picture, truth, size=(height, width))))
        true = [polygon * scale for polygon in truth.polygons]
        panels.append(Panel("found and missed", _judged(picture, scaled, true, truth.is_ignored, outcomes)))
        legend = [
            Key("right", HIT),
            Key("not there", FALSE_POSITIVE),
            Key("missed", FALSE_NEGATIVE),
            Key("illegible, does not count", IGNORED_COLOR),
        ]
    return side_by_side(panels, title=title, legend=legend)


def _judged(
    picture: RGBImage,
    found: Sequence[Polygon],
    true: Sequence[Polygon],
    is_ignored: Flags,
    outcomes: WordOutcomes,
) -> RGBImage:
    """Show right words in white, wrong ones in orange, missed ones in blue, on the darkened picture."""
    drawn = darkened(picture)
    wrong = outcomes.is_found_counted & ~outcomes.is_found_right
    groups: Iterable[tuple[Sequence[Polygon], Flags, RGB]] = (
        (true, is_ignored, IGNORED_COLOR),
        (found, ~outcomes.is_found_counted, IGNORED_COLOR),
        (true, ~is_ignored & ~outcomes.is_true_found, FALSE_NEGATIVE),
        (found, wrong, FALSE_POSITIVE),
        (found, outcomes.is_found_right, HIT),
    )
    for polygons, chosen, color in groups:
        shapes = _fixed_point([polygons[number] for number in np.flatnonzero(chosen).tolist()])
        filled = drawn.copy()
        for shape in shapes:
            cv2.fillPoly(filled, [shape], color, cv2.LINE_AA, SHIFT)
        drawn = np.asarray(cv2.addWeighted(drawn, 1 - FILL, filled, FILL, 0), np.uint8)
        cv2.polylines(drawn, shapes, True, color, 1, cv2.LINE_AA, SHIFT)
    return drawn


def _fixed_point(polygons: Sequence[Polygon]) -> list[npt.NDArray[np.int32]]:
    """Return outlines as OpenCV draws them, with the middle of pixel 0 at 0."""
    return [np.round((polygon - 0.5) * 2**SHIFT).astype(np.int32) for polygon in polygons]
