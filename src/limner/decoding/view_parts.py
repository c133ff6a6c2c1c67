"""Parts of a view of an image, joined to bands or to the whole.

Shape legend: B batch, M maps, *s network resolution, *S size of the view.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import EllipsisType

import torch

from limner.core.outputs import Outputs
from limner.decoding.network_runs import Box, ImageView

Maps = Callable[[Outputs, tuple[int, ...]], torch.Tensor]
"""Outputs of a part, and its size in the view -> maps (B, M, ...): of that size, or at any resolution if
the part is the whole view."""


def extent_of(box: Box) -> tuple[int, ...]:
    """Return the size of a box."""
    return tuple(side.stop - side.start for side in box)


def full_box(size: Iterable[int]) -> Box:
    """Return the box of everything."""
    return tuple(slice(0, side) for side in size)


def view_of_box(images: torch.Tensor, slices: Sequence[slice]) -> torch.Tensor:
    """Return a view of the last axes, as ``images[..., *slices]`` does from Python 3.11 on."""
    place: tuple[EllipsisType | slice, ...] = (..., *slices)
    return images[place]


def joined(view: ImageView, maps: Maps) -> torch.Tensor:
    """Return the maps of all parts as one tensor: (B, M, *S), or (B, M, *s) if one part is the whole view."""
    size = tuple(view.shape[2:])
    whole: torch.Tensor | None = None
    for box, outputs in view.parts():
        part = maps(outputs, extent_of(box))
        if extent_of(box) == size:
            return part
        if whole is None:
            whole = part.new_empty((*part.shape[:2], *size))
        view_of_box(whole, box).copy_(part)
    assert whole is not None, "a view has parts"
    return whole


def bands(
    parts: Iterable[tuple[Box, torch.Tensor]], size: tuple[int, ...], axis: int
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Join parts with the same place on an axis, along which they follow each other.

    Args:
        parts: Boxes of a view, and the maps (B, M, *box) there.
        size: *S.
        axis: The spatial axis.

    Yields:
        A slice of the axis, and the maps there, with this axis moved to be the first spatial one. They are
        changed by the next step.
    """
    band: torch.Tensor | None = None
    for place, group in itertools.groupby(parts, key=lambda part: part[0][axis]):
        extent = (*size[:axis], place.stop - place.start, *size[axis + 1 :])
        for box, part in group:
            shape = (*part.shape[:2], *extent)
            if band is None or band.shape != torch.Size(shape):
                band = part.new_empty(shape)
            view_of_box(band, (*box[:axis], slice(None), *box[axis + 1 :])).copy_(part)
        assert band is not None, "a group has a part"
        yield place, band.movedim(axis + 2, 2)
