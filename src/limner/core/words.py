"""Words in an image: their positions and transcriptions.

Shape legend: N words, P points of all words.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from limner.core.boxes import pixel_in_a_box
from limner.core.targets import ImageTargets, Move, Target

if TYPE_CHECKING:
    import torch

Polygon = npt.NDArray[np.float64]
"""(points, 2) x, y in pixels, three points or more."""


LEAST_WHOLE = 0.9
"""Fraction of the box around a word that must be inside an image for the word to be a whole one."""


@dataclass(frozen=True)
class WordTargets(ImageTargets):
    """The words of one image of a batch, on the host; N may be 0.

    Attributes:
        points: (P, 2) float32: x, y in pixels, the outlines concatenated.
        num_points: (N,) int64: number of points of each outline.
        is_ignored: (N,) bool.
        texts: N transcriptions; None if unknown.
    """

    points: "torch.Tensor"
    num_points: "torch.Tensor"
    is_ignored: "torch.Tensor"
    texts: tuple[str | None, ...]

    def to(self, device: "torch.device", *, non_blocking: bool = True) -> "WordTargets":
        """Return the targets as they are: the host must know how many pixels their outlines enclose."""
        return self


@dataclass(frozen=True)
class Words(Target[tuple[WordTargets, ...]]):
    """The words of one 2D image; N may be 0.

    Attributes:
        polygons: N outlines, with any number of points.
        texts: N transcriptions; None if unknown.
        is_ignored: (N,) bool: illegible, such as ``###``; excluded from training, and predictions there do
            not count as errors.
    """

    key = "words"
    polygons: tuple[Polygon, ...]
    texts: tuple[str | None, ...]
    is_ignored: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        assert len(self.polygons) == len(self.texts) == len(self.is_ignored), "lengths differ"
        assert all(p.ndim == 2 and len(p) >= 3 and p.shape[1] == 2 for p in self.polygons)

    def __len__(self) -> int:
        return len(self.polygons)

    @property
    def boxes(self) -> npt.NDArray[np.float64]:
        """(N, 4) left, top, right, bottom around each word."""
        ends = [np.concatenate([polygon.min(0), polygon.max(0)]) for polygon in self.polygons]
        return np.array(ends, np.float64).reshape(-1, 4)

    @property
    def is_scored(self) -> bool:
        """Whether there is a word that is not ignored."""
        return not bool(self.is_ignored.all())

    def moved(self, move: Move) -> "Words":
        """Return the words of the moved image.

        Outlines may exceed it. Words entirely outside are removed, and those of which less than `LEAST_WHOLE`
        is left become ignored: what is left of them is neither a word nor background.
        """
        moved = replace(self, polygons=tuple(move.points(polygon) for polygon in self.polygons))
        shares = _shares_inside(moved.boxes, np.zeros(2), np.array(move.shape[::-1]))
        moved = replace(moved, is_ignored=moved.is_ignored | (shares < LEAST_WHOLE))
        return moved.select(shares > 0)

    def num_cut(self, start: tuple[int, ...], window: tuple[int, ...]) -> int:
        """Return the number of words, ignored ones aside, of which a window would leave too little."""
        low = np.array(start[::-1], np.float64)
        shares = _shares_inside(self.boxes, low, low + window[::-1])
        return int(((shares > 0) & (shares < LEAST_WHOLE) & ~self.is_ignored).sum())

    def select(self, wanted: npt.NDArray[np.bool_]) -> "Words":
        """Return the words for which `wanted` (N,) is True, in order."""
        numbers = np.flatnonzero(wanted).tolist()
        polygons = tuple(self.polygons[n] for n in numbers)
        return Words(polygons, tuple(self.texts[n] for n in numbers), self.is_ignored[wanted])

    @classmethod
    def stack(cls, targets: Sequence["Words"], *, pin_memory: bool = False) -> tuple[WordTargets, ...]:
        """Return the words of each image."""
        return tuple(target._as_tensors() for target in targets)

    def _as_tensors(self) -> WordTargets:
        import torch

        points = np.concatenate([np.empty((0, 2)), *self.polygons]).astype(np.float32)
        lengths = torch.tensor([len(polygon) for polygon in self.polygons], dtype=torch.int64)
        return WordTargets(torch.from_numpy(points), lengths, torch.tensor(self.is_ignored), self.texts)

    def foreground_pixel(self, rng: np.random.Generator, background: int | None) -> tuple[int, ...] | None:
        """Draw a legible word uniformly, then a pixel in its box uniformly; None if there is none."""
        return pixel_in_a_box(rng, self.boxes[~self.is_ignored])


def _shares_inside(
    boxes: npt.NDArray[np.float64], low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the fraction (N,) of each box that is inside a window.

    Args:
        boxes: (N, 4) left, top, right, bottom.
        low: (2,) left and top of the window.
        high: (2,) right and bottom.
    """
    left = np.maximum(np.minimum(boxes[:, 2:], high) - np.maximum(boxes[:, :2], low), 0)
    shares: npt.NDArray[np.float64] = (left / np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-9)).prod(1)
    return shares
