"""The runs of a network on one image, as `inference/` offers them to whatever decodes their outputs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch

from limner.core.outputs import OutputKind, Outputs
from limner.core.plan import InferencePlan
from limner.decoding.network_arrays import ArrayTile

Box = tuple[slice, ...]
"""A part of an image: a slice of each spatial axis."""


class ImageView(Protocol):
    """One way to look at an image: as it is, mirrored or zoomed."""

    @property
    def shape(self) -> torch.Size:
        """(B, C, *S) of what the network sees."""
        ...

    @property
    def flipped(self) -> tuple[int, ...]:
        """Mirrored spatial axes, counted from 0."""
        ...

    def whole(self) -> Outputs:
        """Run the network on the whole view, padded if it is too small for the network."""
        ...

    @property
    def axis(self) -> int:
        """Spatial axis along which `parts` follow each other."""
        ...

    def parts(self) -> Iterator[tuple[Box, Outputs]]:
        """Yield parts of the view, which do not overlap, and the outputs there.

        One part is the whole view, with outputs of any resolution; several have outputs of its resolution.
        """
        ...

    def undo_flip(self, scores: torch.Tensor) -> torch.Tensor:
        """Mirror scores (B, K, *S) back; the zoom is undone when they are resized."""
        ...


@dataclass(frozen=True)
class Tile:
    """The outputs for one window of an image, or for all of it.

    Attributes:
        outputs: Outputs of the network, in the coordinates of the window.
        start: First pixel of the window along each spatial axis, in what the network sees of the image;
            negative if the image is padded.
        size: Size of the window.
    """

    outputs: Outputs
    start: tuple[int, ...]
    size: tuple[int, ...]


class NetworkRuns(Protocol):
    """One image, ready for the network."""

    @property
    def size(self) -> tuple[int, ...]:
        """*S of the image itself, and so of its prediction."""
        ...

    @property
    def kind(self) -> OutputKind:
        """Kind of output of the network."""
        ...

    @property
    def settings(self) -> InferencePlan:
        """The settings of the prediction."""
        ...

    @property
    def seen_size(self) -> tuple[int, ...]:
        """*S of what the network sees: the image, resized if the model says so, without padding."""
        ...

    @property
    def has_one_view(self) -> bool:
        """Whether the plain view is the only one."""
        ...

    @property
    def fits_in_one_pass(self) -> bool:
        """Whether there is one view only, whose parts are those of the image, or one."""
        ...

    @property
    def is_windowed(self) -> bool:
        """Whether `tiles` are windows, not the whole image."""
        ...

    def views(self) -> Iterator[ImageView]:
        """Yield the views whose scores are averaged."""
        ...

    def whole(self) -> tuple[Outputs, tuple[int, ...]]:
        """Run the network on the whole image.

        Returns:
            Its outputs, and the size *S that they stand for: that of the image with the padding around it.

        Raises:
            DataError: The image is too large.
        """
        ...

    def tiles(self) -> Iterator[Tile]:
        """Yield the outputs of each window on its own, for objects that cannot be blended; one if whole."""
        ...


def array_tiles(runs: NetworkRuns) -> Iterator[ArrayTile]:
    """Yield the outputs of each window as arrays, for objects that take little memory."""
    for tile in runs.tiles():
        named = tile.outputs.tensors().items()
        arrays = {name: tensor.float().cpu().numpy() for name, tensor in named}
        yield ArrayTile(arrays, tile.start, tile.size)
