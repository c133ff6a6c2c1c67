"""Addition of the scores of overlapping windows, which are on a grid, with bounded memory.

Shape legend: B batch, K classes, *S spatial axes.
"""

import itertools
from collections.abc import Sequence

import torch

from limner.decoding.network_runs import Box
from limner.decoding.view_parts import view_of_box


class Blending:
    """Adds up the weighted scores of windows, and hands out what no later window overlaps.

    Args:
        grid: The starts of the windows along each axis.
        window: Size of a window.
        size: Size of the images.
        order: The axes as windows come: the outermost first, the one that changes fastest last.
    """

    def __init__(
        self,
        grid: Sequence[Sequence[int]],
        window: tuple[int, ...],
        size: tuple[int, ...],
        order: tuple[int, ...],
    ) -> None:
        self._grid, self._window, self._size, self._order = grid, window, size, order
        self._open: dict[int, torch.Tensor] = {}

    def add(self, place: tuple[int, ...], scores: torch.Tensor) -> tuple[Box, torch.Tensor]:
        """Add a window, and return the part of it that is finished.

        Args:
            place: The window's number along each axis.
            scores: Its weighted scores (B, K, *window), which are changed in place.

        Returns:
            A slice of each axis of the images, and the scores there, a view.
        """
        starts = [along[i] for along, i in zip(self._grid, place, strict=True)]
        box = [slice(s, s + w) for s, w in zip(starts, self._window, strict=True)]
        for axis in reversed(self._order):
            along, index = self._grid[axis], place[axis]
            if index > 0:
                shared = along[index - 1] + self._window[axis] - along[index]
                scores.narrow(axis + 2, 0, shared).add_(self._held(scores, axis, box, shared))
            if index + 1 < len(along):
                done = along[index + 1] - along[index]
                rest = self._window[axis] - done
                box[axis] = slice(starts[axis], starts[axis] + done)
                self._held(scores, axis, box, rest).copy_(scores.narrow(axis + 2, done, rest))
                scores = scores.narrow(axis + 2, 0, done)
        return tuple(box), scores

    def _held(self, scores: torch.Tensor, axis: int, box: Sequence[slice], length: int) -> torch.Tensor:
        """Return what is held for the next window along an axis: a view, `length` long.

        Along axes outside it, a window is held; along axes inside it, all of the images, of which the view
        shows the box.
        """
        inner = self._order[self._order.index(axis) + 1 :]
        if axis not in self._open:
            starts = self._grid[axis]
            longest = self._window[axis] - min(b - a for a, b in itertools.pairwise(starts))
            shape = [self._size[a] if a in inner else self._window[a] for a in range(len(self._size))]
            shape[axis] = longest
            self._open[axis] = scores.new_empty((*scores.shape[:2], *shape))
        view = [box[a] if a in inner else slice(None) for a in range(len(self._size))]
        view[axis] = slice(0, length)
        return view_of_box(self._open[axis], view)
