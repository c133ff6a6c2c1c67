"""Places and weights of the overlapping windows in which large images are predicted.

Windows are on a grid, so their blending weights are products of one-dimensional ones, which are normalised
in advance: at each pixel, the weights of all windows sum to 1, so neither a second accumulator nor a division
is needed.

Shape legend: *S spatial axes, n windows along an axis, w window size.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from limner.decoding.network_runs import Box

SIGMA = 0.125
"""Standard deviation of the Gaussian weight, relative to the window, as in nnU-Net (Isensee et al. 2021)."""


def window_starts(size: int, window: int, overlap: float) -> list[int]:
    """Return the starts of windows along one axis: evenly spaced, the first and last at the ends.

    Args:
        size: Length of the axis, at least `window`.
        window: Length of a window.
        overlap: Minimum fraction of a window that overlaps with its neighbour, in [0, 1).
    """
    stride = max(1, int(window * (1 - overlap)))
    steps = math.ceil((size - window) / stride)
    return [round(i * (size - window) / steps) for i in range(steps + 1)] if steps else [0]


def window_weights(size: int, window: int, starts: Sequence[int]) -> npt.NDArray[np.float32]:
    """Return the blending weights (n, w) along one axis: Gaussian, normalised to sum to 1 at each pixel."""
    centred = (np.arange(window) - (window - 1) / 2) / (SIGMA * window)
    gaussian = np.exp(-0.5 * centred**2)
    total = np.zeros(size)
    for start in starts:
        total[start : start + window] += gaussian
    weights = [gaussian / total[start : start + window] for start in starts]
    return np.stack(weights).astype(np.float32)


def place_in_padding(size: int, padded: int) -> slice:
    """Return the position of an axis of an image after padding."""
    before = (padded - size) // 2
    return slice(before, before + size)


@dataclass(frozen=True)
class WindowGrid:
    """The windows of an image.

    Attributes:
        size: *S of the image without padding.
        window: Size of a window; axes that are shorter are padded to it.
        overlap: Minimum fraction of a window that overlaps with its neighbour.
        axis: Spatial axis along which windows follow each other; those with one place on it follow each other
            along the other axes, the last fastest.
    """

    size: tuple[int, ...]
    window: tuple[int, ...]
    overlap: float
    axis: int = 0

    @property
    def padded(self) -> tuple[int, ...]:
        """*S of the image with padding."""
        return tuple(max(pair) for pair in zip(self.size, self.window, strict=True))

    @cached_property
    def starts(self) -> list[list[int]]:
        """The starts of the windows along each axis, in the image with padding."""
        return [window_starts(s, w, self.overlap) for s, w in zip(self.padded, self.window, strict=True)]

    @property
    def order(self) -> tuple[int, ...]:
        """The axes as windows come: the outermost first, the one that changes fastest last."""
        return (self.axis, *(other for other in range(len(self.size)) if other != self.axis))

    @property
    def inside(self) -> list[slice]:
        """Position of the image in its padding."""
        return [place_in_padding(size, padded) for size, padded in zip(self.size, self.padded, strict=True)]

    def places(self) -> Iterator[tuple[int, ...]]:
        """Yield the number of each window along each axis, in their order."""
        order = self.order
        for place in itertools.product(*(range(len(self.starts[a])) for a in order)):
            yield tuple(place[order.index(a)] for a in range(len(order)))

    def box(self, place: Sequence[int]) -> "Box":
        """Return the part of the image with padding that a window shows."""
        corner = (starts[i] for starts, i in zip(self.starts, place, strict=True))
        return tuple(slice(start, start + w) for start, w in zip(corner, self.window, strict=True))

    def weights(self, place: Sequence[int]) -> list[npt.NDArray[np.float32]]:
        """Return the blending weights of a window along each axis; their outer product is for its pixels."""
        return [self._along[axis][i] for axis, i in enumerate(place)]

    @cached_property
    def _along(self) -> list[npt.NDArray[np.float32]]:
        sides = zip(self.padded, self.window, self.starts, strict=True)
        return [window_weights(size, window, starts) for size, window, starts in sides]

    def without_padding(self, box: "Box") -> tuple["Box", "Box"]:
        """Return what of a box of the image with padding is in the image: there, and within the box."""
        pairs = list(zip(box, self.inside, strict=True))
        shared = [slice(max(b.start, i.start), min(b.stop, i.stop)) for b, i in pairs]
        local = tuple(slice(s.start - b.start, s.stop - b.start) for s, b in zip(shared, box, strict=True))
        outside = zip(shared, self.inside, strict=True)
        return tuple(slice(s.start - i.start, s.stop - i.start) for s, i in outside), local
