"""Check shapes while a folder is listed: what cannot be drawn is left out and reported."""

from collections.abc import Iterable

import numpy as np

from limner.core.clipping import clip_polygon
from limner.formats.drawn import Box, Shape, corners
from limner.formats.problems import Report
from limner.formats.shapes.polygons import area, crosses_itself
from limner.storage.usable_numbers import are_numbers

MIN_NUMBERS = {"polygon": 6, "hole": 6, "box": 4, "ellipse": 4, "line": 4, "point": 2}
"""Numbers that each kind of shape needs: three points for a polygon, two for a line."""

BORDER = 1.0
"""Pixels that a shape may reach beyond the image without a finding: drawing tools round."""

MAX_PIXELS = 2**30
"""Pixels of the largest image that OpenCV reads; a larger stated size is a mistake."""


def stated_size(height: float | None, width: float | None) -> tuple[int, int] | None:
    """Return the size of an image as a label file states it, or None if no image has that size.

    Args:
        height: In pixels; None if the file states none.
        width: In pixels; None if the file states none.
    """
    if height is None or width is None or min(height, width) < 1 or height * width > MAX_PIXELS:
        return None
    return int(height), int(width)


def valid_shapes(shapes: Iterable[Shape], size: tuple[int, int] | None, report: Report) -> tuple[Shape, ...]:
    """Return the shapes that can be drawn, clipped at the border; none if they have no area together.

    Args:
        shapes: The shapes of one object, without runs.
        size: Height and width of the image; None if the file does not state it, and nothing is clipped.
        report: Takes what is wrong.
    """
    valid = [one for shape in shapes if (one := _checked(shape, report))]
    if size is not None and valid:
        valid = _inside(valid, *size, report)
    # The two halves of a polygon that crosses itself may cancel out in the area, yet both are filled.
    filled = [shape for shape in valid if shape.kind != "hole"]
    if any(s.kind != "polygon" or area(s.numbers) > 0 or crosses_itself(s.numbers) for s in filled):
        return tuple(valid)
    if valid:
        report("annotation-empty", "polygons of area 0 inside the image")
    return ()


def box_of(shape: Shape) -> Box:
    """Return the four numbers of a box."""
    left, top, right, bottom = shape.numbers
    return left, top, right, bottom


def _checked(shape: Shape, report: Report) -> Shape | None:
    fewest = MIN_NUMBERS[shape.kind]
    if not are_numbers(shape.numbers) or len(shape.numbers) % 2:
        report("annotation-malformed", f"a {shape.kind} that is not [x, y, x, y, ...]")
    elif len(shape.numbers) < fewest:
        short = f"a {shape.kind} of {len(shape.numbers) // 2} points"
        report("polygon-too-short" if fewest == 6 else "annotation-malformed", short)
    elif shape.kind == "box":
        return _ordered_box(shape, report)
    else:
        return shape
    return None


def _ordered_box(shape: Shape, report: Report) -> Shape | None:
    """Return a box with its corners in order: some tools write them in the order of the clicks."""
    x, y = sorted(shape.numbers[::2]), sorted(shape.numbers[1::2])
    if x[0] == x[1] or y[0] == y[1]:
        report("box-zero-size", f"{x[1] - x[0]:g} x {y[1] - y[0]:g} pixels at x {x[0]:g}, y {y[0]:g}")
        return None
    return Shape("box", [x[0], y[0], x[1], y[1]])


def _inside(shapes: list[Shape], height: int, width: int, report: Report) -> list[Shape]:
    # Plain Python: faster than numpy for a few dozen numbers, and there are millions of shapes.
    x = [n for s in shapes if s.kind != "ellipse" for n in s.numbers[::2]] or [0]
    y = [n for s in shapes if s.kind != "ellipse" for n in s.numbers[1::2]] or [0]
    left, right, top, bottom = min(x), max(x), min(y), max(y)
    if min(left, top) >= -BORDER and right <= width + BORDER and bottom <= height + BORDER:
        return shapes
    kind = "box" if all(shape.kind == "box" for shape in shapes) else "polygon"
    found = f"x from {left:g} to {right:g}, y from {top:g} to {bottom:g} in {width} x {height}"
    report("box-outside-image" if kind == "box" else "polygon-outside-image", found)
    clipped = [one for shape in shapes if (one := _clip(shape, height, width)).numbers]
    if kind == "polygon" or area(corners(clipped[0])) > 0:
        return clipped or [Shape("polygon", ())]
    report("annotation-empty", "a box outside the image")
    return []


def _clip(shape: Shape, height: int, width: int) -> Shape:
    if shape.kind in ("polygon", "hole"):
        return Shape(shape.kind, clip_polygon(shape.numbers, width, height))
    if shape.kind in ("ellipse", "line"):  # drawing them stops at the border
        return shape
    inside = np.clip(np.reshape(shape.numbers, (-1, 2)), 0, (width, height))
    return Shape(shape.kind, inside.ravel().tolist())
