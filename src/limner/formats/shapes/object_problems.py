"""Problems of the drawn objects of one image, found when the image is read since listing must be fast."""

from collections.abc import Sequence
from math import inf

from limner.formats.drawn import Box, Drawn
from limner.formats.problems import Problems, Report
from limner.formats.shapes.polygons import crosses_itself

MAX_BOX_ERROR = 2.0
"""Pixels by which a stated box may differ from its mask, since tools round."""

SAME_BOX = 1.0
"""Boxes of one class whose sides are this close show one object, boxed twice."""


def object_problems(objects: Sequence[Drawn], size: tuple[int, int], where: str, file: str) -> Problems:
    """Return the problems of each object, and of objects drawn twice.

    Args:
        objects: The objects of one image.
        size: (H, W).
        where: The label file, and what it calls the image.
        file: The image, so that a report can show it.
    """
    problems = Problems()
    for one in objects:
        report = problems.at(f"{where}, {one.name}", file=file)
        if one.is_crowd:
            report("crowd", "a region of many objects")
        if any(shape.kind in ("polygon", "hole") and crosses_itself(shape.numbers) for shape in one.shapes):
            report("polygon-crosses-itself", "two sides of its outline cross")
        _compare_box(one, size, report)
        if (side := _longer_side(one, size)) < 1:
            report("object-below-a-pixel", f"{side:.2g} of a pixel wide or high, whichever is more")
    for one, other in repeated(objects, size):
        problems.add("annotation-repeated", f"{where}, {other.name}", f"the same as {one.name}", file=file)
    return problems


def _longer_side(one: Drawn, size: tuple[int, int]) -> float:
    """Return width or height in pixels, whichever is more; runs count pixels, and strokes have a width."""
    if any(shape.kind in ("runs", "line", "point") for shape in one.shapes):
        return inf
    left, top, right, bottom = one.drawn_bounds(*size)
    return max(right - left, bottom - top)


def _compare_box(one: Drawn, size: tuple[int, int], report: Report) -> None:
    if one.box is None or one.is_box_only:
        return
    around = one.drawn_bounds(*size)
    apart = max(abs(stated - drawn) for stated, drawn in zip(one.box, around, strict=True))
    if apart > MAX_BOX_ERROR:
        said, drawn = (", ".join(f"{side:.0f}" for side in box) for box in (one.box, around))
        report("box-and-mask-disagree", f"the box is {said}, around the mask it would be {drawn}")


def repeated(objects: Sequence[Drawn], size: tuple[int, int]) -> list[tuple[Drawn, Drawn]]:
    """Return each object that was drawn before, after the first of its kind."""
    seen: dict[object, Drawn] = {}
    boxes: dict[int, list[tuple[Box, Drawn]]] = {}
    found = []
    for one in objects:
        shapes = tuple((shape.kind, tuple(round(n, 1) for n in shape.numbers)) for shape in one.shapes)
        first = seen.setdefault((one.value, shapes), one)
        if first is one and one.is_box_only:
            box, known = one.bounds(*size), boxes.setdefault(one.value, [])
            first = next((other for there, other in known if _is_near(box, there)), one)
            known.append((box, one))
        if first is not one:
            found.append((first, one))
    return found


def _is_near(box: Box, other: Box) -> bool:
    return max(abs(a - b) for a, b in zip(box, other, strict=True)) <= SAME_BOX
