"""Addition of the scores of overlapping windows, which are on a grid, with bounded memory.

What no later window overlaps is finished and handed out; only the overlap with windows still to come is held:
along the outermost axis, that is about half a window for the whole cross-section of the image.

Shape legend: B batch, K classes, *S spatial axes.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from limner.decoding.network_arrays import index_of
from limner.inference.window_grid import WindowGrid

if TYPE_CHECKING:
    import torch

    from limner.decoding.network_runs import Box

ScoresT = TypeVar("ScoresT", npt.NDArray[np.float32], "torch.Tensor")
"""Scores as arrays or as tensors: both are indexed, added and changed in place alike."""


class Blending(Generic[ScoresT]):
    """Adds up the weighted scores of windows, and hands out what no later window overlaps.

    Args:
        grid: The windows.
        empty: Returns an array or a tensor like the given one, of a shape and with any content.
    """

    def __init__(self, grid: WindowGrid, empty: Callable[[ScoresT, tuple[int, ...]], ScoresT]) -> None:
        self._grid = grid
        self._empty: Callable[[ScoresT, tuple[int, ...]], ScoresT] = empty
        self._open: dict[int, ScoresT] = {}

    def add(self, place: tuple[int, ...], scores: ScoresT) -> tuple["Box", ScoresT]:
        """Add a window, and return the part of it that is finished.

        Args:
            place: The window's number along each axis.
            scores: Its weighted scores (B, K, *window), which are changed in place.

        Returns:
            A slice of each axis of the image with padding, and the scores there, a view.
        """
        grid, starts = self._grid, self._grid.starts
        box = list(grid.box(place))
        for axis in reversed(grid.order):
            along, index = starts[axis], place[axis]
            if index > 0:
                shared = along[index - 1] + grid.window[axis] - along[index]
                part = scores[_along(axis, slice(0, shared))]
                part += self._held(scores, axis, box, shared)
            if index + 1 < len(along):
                done = along[index + 1] - along[index]
                rest = grid.window[axis] - done
                box[axis] = slice(along[index], along[index] + done)
                self._held(scores, axis, box, rest)[...] = scores[_along(axis, slice(done, None))]
                scores = scores[_along(axis, slice(0, done))]
        return tuple(box), scores

    def _held(self, scores: ScoresT, axis: int, box: Sequence[slice], length: int) -> ScoresT:
        """Return what is held for the next window along an axis: a view, `length` long.

        Along axes outside it, a window is held; along axes inside it, all of the image, of which the view
        shows the box.
        """
        grid = self._grid
        inner = grid.order[grid.order.index(axis) + 1 :]
        dims = range(len(grid.size))
        if axis not in self._open:
            starts = grid.starts[axis]
            longest = grid.window[axis] - min(b - a for a, b in itertools.pairwise(starts))
            sides: list[int] = [grid.padded[a] if a in inner else grid.window[a] for a in dims]
            sides[axis] = longest
            leading: Sequence[int] = scores.shape[:2]
            self._open[axis] = self._empty(scores, (*leading, *sides))
        view: list[Any] = [box[a] if a in inner else slice(None) for a in dims]
        view[axis] = slice(0, length)
        return self._open[axis][index_of(view)]


def outer(factors: Sequence[ScoresT]) -> ScoresT:
    """Return the outer product of one vector per axis, (*w)."""
    product = factors[0]
    for factor in factors[1:]:
        product = product[..., None] * factor
    return product


def _along(axis: int, place: slice) -> tuple[slice, ...]:
    """Return the index of a part of scores (B, K, *S) along a spatial axis."""
    return (*[slice(None)] * (axis + 2), place)
