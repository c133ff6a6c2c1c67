"""Outline of a box on a picture."""

from collections.abc import Sequence

import cv2

from limner.core.labels import RGB
from limner.drawing.colors import outline_width
from limner.drawing.display import RGBImage

DASH, GAP = 5, 9
"""Lengths of dashes and gaps in pixels; wide lines have longer dashes."""


def draw_box(picture: RGBImage, xyxy: Sequence[float], color: RGB, *, is_dashed: bool = False) -> None:
    """Draw the outline of a box into a picture.

    Args:
        picture: (H, W, 3) uint8, which is changed.
        xyxy: Left, top, right, bottom in pixels.
        color: RGB colour.
        is_dashed: Whether the line is dashed.
    """
    left, top, right, bottom = (int(round(float(side))) for side in xyxy)
    right, bottom = max(left, right - 1), max(top, bottom - 1)
    width = outline_width(picture.shape) + 1
    if not is_dashed:
        cv2.rectangle(picture, (left, top), (right, bottom), color, width)
        return
    for x in range(left, right, DASH + GAP):
        for y in (top, bottom):
            cv2.line(picture, (x, y), (min(x + DASH, right), y), color, width)
    for y in range(top, bottom, DASH + GAP):
        for x in (left, right):
            cv2.line(picture, (x, y), (x, min(y + DASH, bottom)), color, width)
