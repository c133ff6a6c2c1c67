"""Words in an image: where each stands and what it says.

Shape legend: N words, P points of all of them.
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


@dataclass(frozen=True)
class WordTargets(ImageTargets):
    """The words of one image of a batch; N may be 0.

    Attributes:
        points: (P, 2) float32: x, y in pixels, of one outline after the other.
        num_points: (N,) int64: how many each outline has.
        is_ignored: (N,) bool.
        texts: N transcriptions; None where it is unknown.
    """

    points: "torch.Tensor"
    num_points: "torch.Tensor"
    is_ignored: "torch.Tensor"
    texts: tuple[str | None, ...]


@dataclass(frozen=True)
class Words(Target[tuple[WordTargets, ...]]):
    """The words of one image, which has two axes; N may be 0.

    Attributes:
        polygons: N outlines, of any number of points.
        texts: N transcriptions; None where nobody wrote down what it says.
        is_ignored: (N,) bool: not to be read, such as ``###``; it is not trained on, and what is found there
            is not counted as wrong.
    """

    key = "words"
    polygons: tuple[Polygon, ...]
    texts: tuple[str | None, ...]
    is_ignored: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        assert len(self.polygons) == len(self.texts) == len(self.is_ignored), "one of each for a word"
        assert all(p.ndim == 2 and len(p) >= 3 and p.shape[1] == 2 for p in self.polygons)

    def __len__(self) -> int:
        return len(self.polygons)

    @property
    def boxes(self) -> npt.NDArray[np.float64]:
        """(N, 4) left, top, right, bottom around each word."""
        ends = [np.concatenate([polygon.min(0), polygon.max(0)]) for polygon in self.polygons]
        return np.array(ends, np.float64).reshape(-1, 4)

    def moved(self, move: Move) -> "Words":
        """Return the words of the moved image; outlines may reach beyond it, words outside are dropped."""
        moved = replace(self, polygons=tuple(move.points(polygon) for polygon in self.polygons))
        boxes = moved.boxes
        is_outside = (boxes[:, 2:] <= 0).any(1) | (boxes[:, :2] >= move.shape[::-1]).any(1)
        return moved.kept(np.asarray(~is_outside))

    def kept(self, wanted: npt.NDArray[np.bool_]) -> "Words":
        """Return those of the words that are `wanted`, (N,), in their order."""
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
        """Draw a word evenly, then a pixel near it evenly; None where there is no word."""
        return pixel_in_a_box(rng, self.boxes)
