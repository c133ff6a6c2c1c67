"""Label maps: the class of every pixel.

Shape legend: B batch, K classes, *S spatial axes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelArray, ignored_in
from limner.core.targets import Move, Target

if TYPE_CHECKING:
    import torch

JUDGED_SIDE = 64
"""A window's classes are counted on at most this many pixels a side; a share needs no more."""

MOST_PLACES = 4096
"""Maximum number of pixels of a class that are kept as `places`: enough for patches at different places."""


@dataclass(frozen=True)
class LabelMap(Target["torch.Tensor"]):
    """The class of every pixel of one image; a batch holds (B, *S) uint8.

    The type tells what is ignored, so nothing else has to: the largest value, 255 in uint8. More than 255
    classes take uint16, where it is 65535; their batches are int32, as PyTorch can do little with uint16.

    Attributes:
        labels: (*S) trained labels, or `ignored_in` their type; uint8, or uint16 for more than 255 classes.
        places: (N, 2) some pixels of each foreground class, as class and index in the flat labels, in the
            order of the classes; None if pixels are looked for when they are needed.
    """

    key = "semantic"
    labels: LabelArray
    places: npt.NDArray[np.int64] | None = None

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """*S."""
        return tuple(self.labels.shape)

    @property
    def is_scored(self) -> bool:
        """Whether any pixel is not ignored."""
        return bool((self.labels != ignored_in(self.labels)).any())

    def moved(self, move: Move) -> "LabelMap":
        """Return the label map of the moved image; what lies outside is ignored."""
        return LabelMap(move.labels(self.labels, ignored_in(self.labels)))

    @classmethod
    def stack(cls, targets: Sequence["LabelMap"], *, pin_memory: bool = False) -> "torch.Tensor":
        """Return (B, *S) uint8, or int32 for more than 255 classes, copying each label map once."""
        from limner.core.batch import empty_tensor

        first = targets[0].labels
        dtype = np.uint8 if first.dtype == np.uint8 else np.int32
        stacked = empty_tensor((len(targets), *first.shape), dtype, pin_memory=pin_memory)
        np.stack([target.labels for target in targets], out=stacked.numpy())
        return stacked

    def foreground_pixel(self, rng: np.random.Generator, background: int | None) -> tuple[int, ...] | None:
        """Draw a class evenly among the rarer foreground classes, then one of its pixels evenly.

        With `places`, the class is drawn from all foreground classes, and the pixel from its places.

        Args:
            rng: The source of chance.
            background: Trained index of the background, or None for the image's largest class.

        Returns:
            The pixel's position, or None where the image shows no foreground.
        """
        if self.places is not None:
            return self._draw_place(rng, self.places)
        counts = self._counts.copy()
        counts[counts.argmax() if background is None else background] = 0
        present = np.flatnonzero(counts)
        if present.size == 0:
            return None
        rarer = present[counts[present] <= counts[present].mean()]
        pixels = np.flatnonzero(self.labels == int(rng.choice(rarer)))
        return tuple(int(i) for i in np.unravel_index(pixels[rng.integers(pixels.size)], self.labels.shape))

    def with_places(self, background: int | None) -> "LabelMap":
        """Return the label map with at most `MOST_PLACES` evenly spaced pixels of each foreground class.

        Args:
            background: Trained index of the background, or None for the image's largest class.
        """
        ignored, flat = ignored_in(self.labels), self.labels.reshape(-1)
        values, counts = np.unique(flat, return_counts=True)
        if background is None and values.size:
            background = int(values[np.where(values == ignored, 0, counts).argmax()])
        rows = [np.empty((0, 2), np.int64)]
        for value in values.tolist():
            if value not in (background, ignored):
                found = np.flatnonzero(flat == value)
                chosen = found[np.linspace(0, found.size - 1, min(found.size, MOST_PLACES)).astype(np.intp)]
                rows.append(np.stack([np.full(chosen.size, value), chosen], axis=1))
        return LabelMap(self.labels, np.concatenate(rows))

    def _draw_place(self, rng: np.random.Generator, places: npt.NDArray[np.int64]) -> tuple[int, ...] | None:
        classes = np.unique(places[:, 0])
        if classes.size == 0:
            return None
        first, after = np.searchsorted(places[:, 0], rng.choice(classes) + np.arange(2))
        index = places[rng.integers(first, after), 1]
        return tuple(int(i) for i in np.unravel_index(index, self.labels.shape))

    def largest_share(self, start: tuple[int, ...], window: tuple[int, ...]) -> float:
        """Return the part of a window's labelled pixels that its largest class fills; 1 if none is labelled.

        Counted on a regular subsample of the window, at most `JUDGED_SIDE` pixels a side.

        Args:
            start: First pixel of the window along each axis; may be negative.
            window: Its size.
        """
        seen = tuple(
            slice(max(0, first), first + size, max(1, size // JUDGED_SIDE))
            for first, size in zip(start, window, strict=True)
        )
        ignored = ignored_in(self.labels)
        counts = np.bincount(self.labels[seen].ravel(), minlength=ignored)[:ignored]
        labelled = counts.sum()
        return float(counts.max() / labelled) if labelled else 1.0

    @cached_property
    def _counts(self) -> npt.NDArray[np.float32]:
        """Pixels of each class, counted once an image however often a crop is drawn."""
        ignored = ignored_in(self.labels)
        if self.labels.dtype != np.uint8:
            return np.bincount(self.labels.ravel(), minlength=ignored)[:ignored].astype(np.float32)
        # Two at a time: numpy turns what it counts into 64 bits first, which is what takes the time.
        flat = np.ascontiguousarray(self.labels).reshape(-1)
        pairs = np.bincount(flat[: flat.size // 2 * 2].view(np.uint16), minlength=1 << 16).reshape(256, 256)
        counts: npt.NDArray[np.int64] = pairs.sum(0) + pairs.sum(1)
        if flat.size % 2:
            counts[flat[-1]] += 1
        return counts[:ignored].astype(np.float32)
