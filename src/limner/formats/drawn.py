"""One drawn object of one image, as all formats of objects give it: compact shapes that are drawn as a mask.

Shape legend: H, W image size.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageDraw

from limner.core.clipping import clip_line, clip_polygon
from limner.core.segments import Mask

Kind = Literal["polygon", "hole", "runs", "box", "ellipse", "line", "point"]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""
Hull = npt.NDArray[np.float32]
"""(points, 2) x, y in pixels, the corners of a convex polygon in order; none if unknown."""

NO_HULL: Hull = np.empty((0, 2), np.float32)

LINE_WIDTH = 10
"""Width of lines in pixels, as in labelme's own converters."""
POINT_RADIUS = 5
CORNERS_OF_AN_ELLIPSE = 72
MAX_OUTSIDE = 100_000
"""Pixels that an outline may reach beyond the image before it is clipped."""


class Shape(NamedTuple):
    """One shape of an object.

    Attributes:
        kind: The meaning of the numbers.
        numbers: In pixels, x before y. ``polygon``, ``hole`` (cut out of the shapes before it), ``line``: x,
            y, x, y, ...; ``box``: left, top, right, bottom; ``ellipse``: middle, then half its width and
            height; ``point``: x, y; ``runs``: lengths that go down the columns of the whole image and begin
            with pixels outside.
    """

    kind: Kind
    numbers: Sequence[float]


@dataclass(frozen=True)
class Drawn:
    """One object: the area that its shapes cover together, without holes.

    Attributes:
        value: The mask value of its class.
        shapes: One or more.
        is_crowd: A region of many objects that are not separated.
        is_difficult: Its annotators would not count a miss as an error.
        box: The box that the file states in addition to the shapes, or None.
        name: Its name in messages, from the file; may be empty.
        height: Where objects overlap, the highest is on top in a label map, and of equals the smallest.
        score: How sure a model is of it, in [0, 1]; None for what a person drew.
    """

    value: int
    shapes: tuple[Shape, ...]
    is_crowd: bool = False
    is_difficult: bool = False
    box: Box | None = None
    name: str = ""
    height: int = 0
    score: float | None = None

    @property
    def is_box_only(self) -> bool:
        """Whether the object has only a box."""
        return all(shape.kind == "box" for shape in self.shapes)

    def mask(self, height: int, width: int) -> Mask:
        """Return the (H, W) mask, filled as COCO's tools do; a hole cuts the shapes before it.

        Numbers may be as large as floats are: what reaches far outside the image is clipped before compiled
        code sees it.
        """
        mask = np.zeros((height, width), bool)
        for is_hole, shapes in groupby(self.shapes, key=lambda shape: shape.kind == "hole"):
            if is_hole:
                mask &= ~_covered(list(shapes), height, width)
            else:
                mask |= _covered(list(shapes), height, width)
        return mask

    def bounds(self, height: int, width: int) -> Box:
        """Return the stated box, else the smallest box around the shapes."""
        return self.drawn_bounds(height, width) if self.box is None else self.box

    def drawn_bounds(self, height: int, width: int) -> Box:
        """Return the smallest box around the shapes, clipped to the image."""
        if any(shape.kind == "runs" for shape in self.shapes):
            return box_of_mask(self.mask(height, width))
        points = np.concatenate([np.reshape(corners(s), (-1, 2)) for s in self.shapes if s.kind != "hole"])
        points = points.clip(0, (width, height))
        return (*points.min(0).tolist(), *points.max(0).tolist())

    def hull(self, height: int, width: int) -> Hull:
        """Return the convex hull of the shapes, which may reach outside the image.

        It has no points if it says no more than the box: without a shape of any extent, and if it is an
        upright rectangle, as of boxes that a tool wrote as polygons.
        """
        shapes = [shape for shape in self.shapes if shape.kind not in ("hole", "point")]
        if not shapes or self.is_box_only:
            return NO_HULL
        if any(shape.kind == "runs" for shape in shapes):
            return hull_of_mask(self.mask(height, width))
        outlines = [_near(corners(shape), height, width) for shape in shapes]
        hull = _hull_of(np.concatenate([np.reshape(outline, (-1, 2)) for outline in outlines]))
        is_upright = len(hull) == 4 and all(len({*side}) == 2 for side in hull.T.tolist())
        return NO_HULL if is_upright else hull

    def outlined(self) -> "Drawn":
        """Return the object with boxes as polygons, so that a box is its outline."""
        if not any(shape.kind == "box" for shape in self.shapes):
            return self
        turned = (Shape("polygon", corners(s)) if s.kind == "box" else s for s in self.shapes)
        return replace(self, shapes=tuple(turned))

    def scaled(self, across: float, down: float) -> "Drawn":
        """Return the object with each x times `across` and each y times `down`; runs cannot be scaled.

        Numbers are rounded to a millionth, so that fractions of a side give back whole pixels.
        """
        factors = (across, down)
        shapes = [
            Shape(s.kind, [round(n * factors[i % 2], 6) for i, n in enumerate(s.numbers)])
            for s in self.shapes
        ]
        return replace(self, shapes=tuple(shapes))


def resized(one: Drawn, stated: tuple[int, int], size: tuple[int, int]) -> Drawn:
    """Return an object drawn in an image of another size, for the image as it is now.

    Args:
        one: The object; runs count pixels of the stated size.
        stated: Height and width when it was drawn.
        size: Height and width now.
    """
    down, across = (now / before for now, before in zip(size, stated, strict=True))
    moved = one.scaled(across, down)
    shapes = [
        _resized_runs(old, stated, size) if old.kind == "runs" else new
        for old, new in zip(one.shapes, moved.shapes, strict=True)
    ]
    box = one.box and (one.box[0] * across, one.box[1] * down, one.box[2] * across, one.box[3] * down)
    return replace(moved, shapes=tuple(shapes), box=box)


def _resized_runs(shape: Shape, stated: tuple[int, int], size: tuple[int, int]) -> Shape:
    mask = runs_to_mask([int(run) for run in shape.numbers], *stated).astype(np.uint8)
    now = cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return Shape("runs", runs_of_mask(now.astype(bool)))


def corners(shape: Shape) -> list[float]:
    """Return the outline of a shape as x, y, x, y, ...; lines and points give their own points."""
    numbers = list(shape.numbers)
    if shape.kind == "box":
        left, top, right, bottom = numbers
        return [left, top, right, top, right, bottom, left, bottom]
    if shape.kind == "ellipse":
        x, y, half_width, half_height = numbers
        turns = np.arange(CORNERS_OF_AN_ELLIPSE) * 2 * np.pi / CORNERS_OF_AN_ELLIPSE
        points = np.stack([x + half_width * np.cos(turns), y + half_height * np.sin(turns)], 1)
        numbers = points.ravel().tolist()
    return numbers


def box_of_mask(mask: Mask) -> Box:
    """Return the box around the pixels of a mask; zeros if it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return 0.0, 0.0, 0.0, 0.0
    return float(columns[0]), float(rows[0]), float(columns[-1]) + 1, float(rows[-1]) + 1


def hull_of_mask(mask: Mask) -> Hull:
    """Return the convex hull of the pixels of a mask (H, W); no points if it is empty."""
    rows = np.flatnonzero(mask.any(1))
    if not rows.size:
        return NO_HULL
    left, right = mask[rows].argmax(1), mask.shape[1] - mask[rows, ::-1].argmax(1)
    ends = [np.stack([x, y], 1) for x in (left, right) for y in (rows, rows + 1)]
    return _hull_of(np.concatenate(ends))


def _hull_of(points: npt.NDArray[Any]) -> Hull:
    if len(points) < 3:
        return NO_HULL
    hull = np.asarray(cv2.convexHull(points.astype(np.float32)), np.float32).reshape(-1, 2)
    return hull if len(hull) >= 3 else NO_HULL


def runs_to_mask(runs: Sequence[int], height: int, width: int) -> Mask:
    """Return the (H, W) mask of run lengths, which go down the columns and begin with pixels outside."""
    inside = np.arange(len(runs)) % 2 == 1
    return np.asarray(np.repeat(inside, runs).reshape(width, height).T)


def runs_of_mask(mask: Mask) -> list[int]:
    """Return the run lengths that `runs_to_mask` turns back into (H, W)."""
    pixels = mask.T.ravel()
    changes = np.flatnonzero(np.diff(pixels)) + 1
    runs: list[int] = np.diff(np.concatenate([[0], changes, [pixels.size]])).tolist()
    return [0, *runs] if pixels.size and pixels[0] else runs


def pack(drawn: Sequence[Drawn]) -> bytes:
    """Pack the objects of one image into a few hundred bytes, since a dataset may have 100,000 images."""
    rows = [[d.value, d.shapes, int(d.is_crowd), int(d.is_difficult), d.box, d.name, d.height] for d in drawn]
    return zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 1)


def unpack(packed: bytes) -> list[Drawn]:
    """Return the objects that `pack` packed."""
    rows = json.loads(zlib.decompress(packed))
    return [
        Drawn(value, tuple(Shape(*s) for s in shapes), bool(crowd), bool(hard), box and (*box,), name, height)
        for value, shapes, crowd, hard, box, name, height in rows
    ]


def _covered(shapes: list[Shape], height: int, width: int) -> Mask:
    mask = _filled([corners(s) for s in shapes if s.kind not in ("runs", "line", "point")], height, width)
    for shape in shapes:
        if shape.kind == "runs":
            mask |= runs_to_mask([int(run) for run in shape.numbers], height, width)
        elif shape.kind in ("line", "point"):
            mask |= _stroked(shape, height, width)
    return mask


def _filled(polygons: list[list[float]], height: int, width: int) -> Mask:
    if not polygons:
        return np.zeros((height, width), bool)
    # A dependency with a compiled part, so it is loaded when a polygon is drawn.
    from pycocotools import mask as coco_mask

    near = [one for polygon in polygons if (one := _near(polygon, height, width))]
    if not near:
        return np.zeros((height, width), bool)
    runs = coco_mask.merge(coco_mask.frPyObjects(near, height, width))
    return np.asarray(np.array(coco_mask.decode(runs)) != 0)


def _near(polygon: list[float], height: int, width: int) -> list[float]:
    """Clip a polygon that reaches far outside: pycocotools walks along each side, and long ones overflow."""
    return polygon if _is_near(polygon, height, width) else clip_polygon(polygon, width, height)


def _near_pieces(line: list[float], height: int, width: int) -> list[list[float]]:
    """Return the pieces of a line that reaches far outside, whose numbers would overflow in Pillow."""
    return [line] if _is_near(line, height, width) else clip_line(line, width, height, margin=MAX_OUTSIDE)


def _is_near(numbers: list[float], height: int, width: int) -> bool:
    return min(numbers) > -MAX_OUTSIDE and max(numbers) < max(height, width) + MAX_OUTSIDE


def _stroked(shape: Shape, height: int, width: int) -> Mask:
    canvas = PillowImage.new("1", (width, height))
    pen = ImageDraw.Draw(canvas)
    if shape.kind == "line":
        for piece in _near_pieces(list(shape.numbers), height, width):
            pen.line(piece, fill=1, width=LINE_WIDTH, joint="curve")
        return np.array(canvas, bool)
    x, y = shape.numbers
    if max(abs(x), abs(y)) < max(height, width) + MAX_OUTSIDE:
        pen.ellipse([x - POINT_RADIUS, y - POINT_RADIUS, x + POINT_RADIUS, y + POINT_RADIUS], fill=1)
    return np.array(canvas, bool)
