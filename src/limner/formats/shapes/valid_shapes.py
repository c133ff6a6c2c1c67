"""Shapes as files state them, looked at while they are listed: what cannot be drawn is left out and said."""

from collections.abc import Iterable
from math import isfinite

import numpy as np

from limner.formats.drawn import Box, Shape, corners
from limner.formats.problems import Report
from limner.formats.shapes.polygons import area, crosses_itself, cut_to

FEWEST_NUMBERS = {"polygon": 6, "hole": 6, "box": 4, "ellipse": 4, "line": 4, "point": 2}
"""Of a polygon three points, of a line two."""

BORDER = 1.0
"""Pixels that a shape may stick out without a word: drawing tools round."""


def sound(shapes: Iterable[Shape], size: tuple[int, int] | None, report: Report) -> tuple[Shape, ...]:
    """Return the shapes that can be drawn, cut at the border; nothing where they cover no area together.

    Args:
        shapes: Of one object, without runs.
        size: Height and width of the image; None where the file does not say, and nothing is cut.
        report: Notes what is wrong.
    """
    kept = [one for shape in shapes if (one := _whole(shape, report))]
    if size is not None and kept:
        kept = _inside(kept, *size, report)
    # Of an outline that crosses itself the two sides may cancel out, though both are filled.
    if any(s.kind != "polygon" or area(s.numbers) > 0 or crosses_itself(s.numbers) for s in kept):
        return tuple(kept)
    if kept:
        report("annotation-empty", "polygons of area 0 inside the image")
    return ()


def is_number(value: object) -> bool:
    """Tell whether a value is a finite number."""
    return type(value) in (int, float) and isfinite(value)  # type: ignore[arg-type]


def box_of(shape: Shape) -> Box:
    """Return the four numbers of a box."""
    left, top, right, bottom = shape.numbers
    return left, top, right, bottom


def _whole(shape: Shape, report: Report) -> Shape | None:
    fewest = FEWEST_NUMBERS[shape.kind]
    if not all(map(is_number, shape.numbers)):
        report("annotation-malformed", f"a {shape.kind} that is not [x, y, x, y, ...]")
    elif len(shape.numbers) < fewest:
        short = f"a {shape.kind} of {len(shape.numbers) // 2} points"
        report("polygon-too-short" if fewest == 6 else "annotation-malformed", short)
    elif shape.kind == "box":
        return _whole_box(shape, report)
    else:
        return shape
    return None


def _whole_box(shape: Shape, report: Report) -> Shape | None:
    """Return a box with its corners in order: some tools keep the order in which they were clicked."""
    x, y = sorted(shape.numbers[::2]), sorted(shape.numbers[1::2])
    if x[0] == x[1] or y[0] == y[1]:
        report("box-zero-size", f"{x[1] - x[0]:g} x {y[1] - y[0]:g} pixels at x {x[0]:g}, y {y[0]:g}")
        return None
    return Shape("box", [x[0], y[0], x[1], y[1]])


def _inside(shapes: list[Shape], height: int, width: int, report: Report) -> list[Shape]:
    # Plain Python: for a few dozen numbers it is faster than numpy, and there are millions of shapes.
    x = [n for s in shapes if s.kind != "ellipse" for n in s.numbers[::2]] or [0]
    y = [n for s in shapes if s.kind != "ellipse" for n in s.numbers[1::2]] or [0]
    left, right, top, bottom = min(x), max(x), min(y), max(y)
    if min(left, top) >= -BORDER and right <= width + BORDER and bottom <= height + BORDER:
        return shapes
    kind = "box" if all(shape.kind == "box" for shape in shapes) else "polygon"
    found = f"x from {left:g} to {right:g}, y from {top:g} to {bottom:g} in {width} x {height}"
    report(f"{kind}-outside-image", found)
    cut = [one for shape in shapes if (one := _cut(shape, height, width)).numbers]
    if kind == "polygon" or area(corners(cut[0])) > 0:
        return cut or [Shape("polygon", ())]
    report("annotation-empty", "a box that lies outside the image")
    return []


def _cut(shape: Shape, height: int, width: int) -> Shape:
    if shape.kind in ("polygon", "hole"):
        return Shape(shape.kind, cut_to(shape.numbers, width, height))
    if shape.kind in ("ellipse", "line"):  # what is drawn of them ends at the border by itself
        return shape
    inside = np.clip(np.reshape(shape.numbers, (-1, 2)), 0, (width, height))
    return Shape(shape.kind, inside.ravel().tolist())
