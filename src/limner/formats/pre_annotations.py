"""Pre-annotations: what a model found, as the objects of a labelling tool, for people to correct.

Shape legend: H, W image size; h, w size of a box.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from limner.core.segments import Mask
from limner.formats.drawn import Box, Drawn, Shape
from limner.formats.shapes.mask_outlines import outlined


@dataclass(frozen=True)
class Candidate:
    """An object that a model found.

    Attributes:
        label: Trained label.
        score: How sure the model is, in [0, 1]; None if it does not say.
        box: Left, top, right and bottom in pixels of the image; whole numbers if there is a mask.
        mask: (h, w) bool, its pixels inside the box, at least one; None for a box alone.
    """

    label: int
    score: float | None
    box: Box
    mask: Mask | None = None

    @property
    def pixels(self) -> float:
        """Number of pixels of the mask, or the area of the box."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top) if self.mask is None else int(self.mask.sum())


@dataclass(frozen=True)
class PreAnnotation:
    """A candidate as it is written.

    Attributes:
        drawn: Its outline or box.
        pixels: Number of pixels of the mask, or the area of the box.
        iou: Intersection over union of outline and mask; 1 for a box.
    """

    drawn: Drawn
    pixels: float
    iou: float = 1.0


def pre_annotations(candidates: Iterable[Candidate], *, tolerance: float, holes: bool) -> list[PreAnnotation]:
    """Return the candidates as outlines and boxes.

    Args:
        candidates: The objects.
        tolerance: By how many pixels an outline may be off, see `outlined`.
        holes: Whether the tool can hold holes.
    """
    return [_pre_annotation(one, tolerance, holes=holes) for one in candidates]


def _pre_annotation(one: Candidate, tolerance: float, *, holes: bool) -> PreAnnotation:
    left, top, *_ = one.box
    if one.mask is None:
        return PreAnnotation(Drawn(one.label, (Shape("box", one.box),), score=one.score), one.pixels)
    shapes, iou = outlined(one.mask, tolerance=tolerance, holes=holes)
    moved = (
        Shape(shape.kind, [n + (top if i % 2 else left) for i, n in enumerate(shape.numbers)])
        for shape in shapes
    )
    return PreAnnotation(Drawn(one.label, tuple(moved), score=one.score), one.pixels, iou)
