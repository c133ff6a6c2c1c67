"""Boxes: the axis-aligned boxes of one image, on the CPU.

Shape legend: N boxes, n labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from limner.core.outlines import Outlines
from limner.core.targets import ImageTargets, Move, Target

if TYPE_CHECKING:
    import torch

LEAST_VISIBLE = 0.25
"""Visible fraction of a box's area below which a crop makes it difficult: what is left shows little of it."""


@dataclass(frozen=True)
class BoxTargets(ImageTargets):
    """The boxes of one image of a batch; N may be 0.

    Attributes:
        xyxy: (N, 4) float32: left, top, right, bottom in pixels.
        labels: (N,) int64 trained labels 0..K-1.
        is_ignored: (N,) bool, on the host: crowds and difficult objects. Finding them is neither right nor
            wrong.
        complete: (n,) int64 labels of which all objects are boxed; None for all. Of other classes, there
            may be objects without a box, so that what is outside boxes says nothing about them.
    """

    xyxy: "torch.Tensor"
    labels: "torch.Tensor"
    is_ignored: "torch.Tensor"
    complete: "torch.Tensor | None" = None

    def to(self, device: "torch.device", *, non_blocking: bool = True) -> "BoxTargets":
        """Return the targets on `device`, except `is_ignored`: the host must know how many boxes count."""

        def moved(values: "torch.Tensor") -> "torch.Tensor":
            return values.to(device, non_blocking=non_blocking)

        complete = None if self.complete is None else moved(self.complete)
        return BoxTargets(moved(self.xyxy), moved(self.labels), self.is_ignored, complete)

    def counted(self) -> "tuple[torch.Tensor, torch.Tensor]":
        """Return boxes and labels of the objects that are not ignored, without waiting for their device."""
        rows = self._rows(~self.is_ignored)
        return self.xyxy[rows], self.labels[rows]

    def ignored(self) -> "torch.Tensor":
        """Return the boxes of what is ignored, without waiting for their device."""
        return self.xyxy[self._rows(self.is_ignored)]

    def _rows(self, wanted: "torch.Tensor") -> "torch.Tensor":
        return wanted.nonzero().flatten().to(self.xyxy.device, non_blocking=True)


@dataclass(frozen=True)
class Boxes(Target[tuple[BoxTargets, ...]]):
    """The boxes of one 2D image; N may be 0.

    Attributes:
        xyxy: (N, 4) float32: left, top, right, bottom in pixels. Pixel (0, 0) covers 0 to 1, so
            a box of one pixel has width 1.
        labels: (N,) int64: trained labels 0..K-1, or mask values before they are translated.
        is_crowd: (N,) bool: a box around many objects that were not annotated individually.
        is_difficult: (N,) bool: an object marked as difficult, or of which a crop shows little; it may be
            missed without penalty.
        shape: (H, W) of the image.
        complete: Labels of which all objects are boxed, so that any other found one is wrong; None for all.
        outlines: The convex hulls of the objects that have masks or polygons; None without any.
    """

    key = "boxes"
    xyxy: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    is_crowd: npt.NDArray[np.bool_]
    is_difficult: npt.NDArray[np.bool_]
    shape: tuple[int, ...]
    complete: frozenset[int] | None = None
    outlines: Outlines | None = None

    def __post_init__(self) -> None:
        assert self.xyxy.shape == (len(self.labels), 4), (self.xyxy.shape, self.labels.shape)
        assert self.labels.shape == self.is_crowd.shape == self.is_difficult.shape

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """(H, W)."""
        return self.shape

    @property
    def is_scored(self) -> bool:
        """Whether there is any box that is neither a crowd nor difficult."""
        return not self.is_ignored.all()

    @property
    def is_ignored(self) -> npt.NDArray[np.bool_]:
        """(N,) whether finding the box is neither right nor wrong: crowds and difficult objects."""
        return self.is_crowd | self.is_difficult

    @property
    def areas(self) -> npt.NDArray[np.float32]:
        """(N,) square pixels of each box."""
        sides = np.maximum(self.xyxy[:, 2:] - self.xyxy[:, :2], 0)
        return np.asarray(sides[:, 0] * sides[:, 1], np.float32)

    def select(self, wanted: npt.NDArray[np.bool_]) -> "Boxes":
        """Return the boxes for which `wanted` (N,) is True, in order."""
        rows: dict[str, Any] = {name: getattr(self, name)[wanted] for name in PER_BOX}
        outlines = None if self.outlines is None else self.outlines.select(wanted)
        return replace(self, **rows, outlines=outlines)

    def with_crowds(self, found: npt.NDArray[np.int64]) -> "Boxes":
        """Return also a crowd over the whole image for each found label that is not `complete`."""
        labels = incomplete(found, self.complete)
        height, width = self.shape
        whole = [[0, 0, width, height]] * len(labels)
        crowds = boxes_of(whole, labels.tolist(), [True] * len(labels), shape=self.shape)
        rows: dict[str, Any] = {}
        for name in PER_BOX:
            rows[name] = np.concatenate([getattr(self, name), getattr(crowds, name)])
        return replace(self, **rows, outlines=None)

    def moved(self, move: Move) -> "Boxes":
        """Return the boxes in the moved image, as `clipped` to it.

        Boxes whose sides stay parallel to the axes are moved exactly. After other moves, such as a turn by 30
        degrees, the box around the moved corners would be larger than the object. So where the object has an
        outline, its box is that around all of the moved outline that was in its box before and is in the
        image now. Where only the box is known, it is that around the moved ellipse that touches its sides:
        most objects leave the corners of their box empty, and a disc keeps its box at any angle. Of a box of
        width w and height h turned by an angle a, half the new width is
        sqrt((w / 2 cos a)^2 + (h / 2 sin a)^2), and half the new height the same with sin and cos exchanged.
        An object that fills its corners then exceeds its box. Crowds, which are areas rather than objects,
        get the box around the moved corners.
        """
        before = self.xyxy.astype(np.float64)
        corners = move.points(before[:, CORNERS].reshape(-1, 2)).reshape(-1, 4, 2)
        xyxy = np.concatenate([corners.min(1), corners.max(1)], axis=1)
        turned, outlines = ~_are_straight(corners) & ~self.is_crowd, self.outlines
        if outlines is not None:
            # Boxes were clipped by each crop, and outlines wait for it until they are needed.
            outlines = (outlines.within(before) if turned.any() else outlines).moved(move.points)
        if turned.any():
            tight = _around_ellipses(corners)
            if outlines is not None:
                tight[outlines.are_known] = outlines.bounds()[outlines.are_known]
            xyxy[turned] = tight[turned]
        moved = replace(self, xyxy=xyxy.astype(np.float32), shape=move.shape, outlines=outlines).clipped()
        return moved._around_outlines() if turned.any() else moved

    def _around_outlines(self) -> "Boxes":
        """Return the boxes around the parts of outlines inside them, without objects that have none."""
        if self.outlines is None:
            return self
        inside = self.outlines.within(self.xyxy)
        has_part = inside.are_known | ~self.outlines.are_known | self.is_crowd
        around = np.clip(inside.bounds(), self.xyxy[:, [0, 1, 0, 1]], self.xyxy[:, [2, 3, 2, 3]])
        is_changed = inside.are_known & ~self.is_crowd
        xyxy = np.where(is_changed[:, None], around, self.xyxy).astype(np.float32)
        found = replace(self, xyxy=xyxy, outlines=inside)
        return found.select(has_part & (found.areas > 0))

    def clipped(self) -> "Boxes":
        """Return the boxes clipped to the image, without those that have no area there.

        Boxes of which the image shows less than `LEAST_VISIBLE` are difficult.
        """
        height, width = self.shape
        xyxy = np.clip(self.xyxy, 0, np.array([width, height] * 2, np.float32))
        inside = replace(self, xyxy=xyxy)
        is_cut = inside.areas < LEAST_VISIBLE * self.areas
        return replace(inside, is_difficult=self.is_difficult | is_cut).select(inside.areas > 0)

    @classmethod
    def stack(cls, targets: Sequence["Boxes"], *, pin_memory: bool = False) -> tuple[BoxTargets, ...]:
        """Return the boxes for training; crowds and difficult ones are ignored there."""
        import torch

        return tuple(
            BoxTargets(
                torch.tensor(each.xyxy),
                torch.tensor(each.labels),
                torch.tensor(each.is_ignored),
                as_labels(each.complete),
            )
            for each in targets
        )

    def foreground_pixel(self, rng: np.random.Generator, background: int | None) -> tuple[int, ...] | None:
        """Draw a box uniformly, then a pixel in it uniformly; None if there are no boxes."""
        return pixel_in_a_box(rng, self.xyxy)


PER_BOX = ("xyxy", "labels", "is_crowd", "is_difficult")
"""Fields of `Boxes` with a row for each box, besides `outlines`."""

CORNERS = [[0, 1], [2, 1], [2, 3], [0, 3]]
"""Columns of left, top, right, bottom that are the corners, clockwise as seen from left top."""

STRAIGHT = 1e-6
"""Pixels by which a side of a moved box may deviate from an axis because of rounding."""


def _are_straight(corners: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return (N,) whether all sides of moved boxes, (N, 4, 2) corners, are parallel to an axis."""
    sides = np.abs(np.roll(corners, -1, axis=1) - corners)
    return np.asarray((sides.min(-1) <= STRAIGHT).all(-1))


def _around_ellipses(corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the boxes (N, 4) around the ellipses that touch the sides of moved boxes, (N, 4, 2) corners."""
    first, second, third, fourth = corners.transpose(1, 0, 2)
    # From the middle to the middles of two sides.
    across, down = (second + third - first - fourth) / 4, (third + fourth - first - second) / 4
    half, middle = np.hypot(across, down), corners.mean(1)
    return np.concatenate([middle - half, middle + half], axis=1)


def as_labels(complete: frozenset[int] | None) -> "torch.Tensor | None":
    """Return labels of which all objects are drawn, (n,) int64 in ascending order; None for all."""
    import torch

    return None if complete is None else torch.tensor(sorted(complete), dtype=torch.int64)


def incomplete(found: npt.NDArray[np.int64], complete: frozenset[int] | None) -> npt.NDArray[np.int64]:
    """Return the labels of found objects (N,) of which not all true ones are drawn, each once."""
    labels = np.unique(found)
    if complete is None:
        return labels[:0]
    return labels[~np.isin(labels, sorted(complete))]


def pixel_in_a_box(rng: np.random.Generator, xyxy: npt.NDArray[Any]) -> tuple[int, int] | None:
    """Draw a box of (N, 4) uniformly, then a pixel (y, x) in it uniformly; None if there are no boxes."""
    if not len(xyxy):
        return None
    left, top, right, bottom = xyxy[rng.integers(len(xyxy))]
    return int(rng.uniform(top, bottom)), int(rng.uniform(left, right))


def boxes_of(
    xyxy: Sequence[Sequence[float]],
    labels: Sequence[int],
    is_crowd: Sequence[bool] | None = None,
    is_difficult: Sequence[bool] | None = None,
    *,
    shape: tuple[int, ...],
    complete: frozenset[int] | None = None,
    outlines: Sequence[npt.NDArray[Any]] | None = None,
) -> Boxes:
    """Build boxes from plain lists.

    Args:
        xyxy: N of [left, top, right, bottom] in pixels.
        labels: N labels.
        is_crowd: N flags; None if no box is a crowd.
        is_difficult: N flags; None if no box is difficult.
        shape: (H, W) of the image.
        complete: As in `Boxes`.
        outlines: N convex outlines (points, 2), those without points unknown; None if all are.
    """
    none = [False] * len(labels)
    return Boxes(
        np.asarray(xyxy, np.float32).reshape(-1, 4),
        np.asarray(labels, np.int64),
        np.asarray(none if is_crowd is None else is_crowd, bool),
        np.asarray(none if is_difficult is None else is_difficult, bool),
        tuple(shape),
        complete,
        Outlines.of(outlines) if outlines is not None and any(map(len, outlines)) else None,
    )
