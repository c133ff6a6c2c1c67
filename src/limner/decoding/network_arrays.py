"""Runs of a network without PyTorch, whose outputs are arrays: `inference/` offers them to the tasks.

Shape legend: K classes, Q queries, C channels, *S spatial axes, *s network resolution.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from limner.core.plan import InferencePlan

if TYPE_CHECKING:
    from limner.decoding.network_runs import Box

Logits = npt.NDArray[np.float32]
"""(1, K, *s) of each pixel, or (1, K) of the whole image."""

NamedArrays = Mapping[str, npt.NDArray[Any]]
"""The outputs of a network for one image by their names in `core.outputs`, in float32."""


@dataclass(frozen=True)
class QueryArrays:
    """Queries that together tell the class of each pixel.

    Attributes:
        chances: (K, Q) probability that a query is of a class.
        mask_logits: (1, Q, *s).
    """

    chances: npt.NDArray[np.float32]
    mask_logits: Logits


PixelArrays = Logits | QueryArrays
"""What tells the class of each pixel."""


@dataclass(frozen=True)
class ArrayTile:
    """The outputs for one window of an image, or for all of it.

    Attributes:
        outputs: In the coordinates of the window.
        start: First pixel of the window along each spatial axis, in what the network sees of the image;
            negative if the image is padded.
        size: Size of the window.
    """

    outputs: NamedArrays
    start: tuple[int, ...]
    size: tuple[int, ...]


def index_of(box: Iterable[slice]) -> tuple[EllipsisType | slice, ...]:
    """Return the index of a part of the last axes, as ``[..., *box]`` is from Python 3.11 on."""
    return (..., *box)


class ArrayView(Protocol):
    """One way to look at an image: as it is, mirrored or zoomed."""

    @property
    def size(self) -> tuple[int, ...]:
        """*S of what the network sees."""
        ...

    @property
    def flipped(self) -> tuple[int, ...]:
        """Mirrored spatial axes, counted from 0."""
        ...

    def whole(self) -> Logits:
        """Return the logits of the whole view, which is padded if it is too small for the network."""
        ...

    def parts(self) -> Iterator[tuple["Box", PixelArrays]]:
        """Yield parts of the view, which do not overlap, and the maps there.

        One part is the whole view, with maps of any resolution, or queries; several have maps of its
        resolution.
        """
        ...


class ArrayRuns(Protocol):
    """One image, ready for the network."""

    @property
    def size(self) -> tuple[int, ...]:
        """*S of the image itself, and so of its prediction."""
        ...

    @property
    def kind(self) -> str:
        """Name of the kind of output of the network."""
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
    def fits_in_one_pass(self) -> bool:
        """Whether there is one view only, whose parts are those of the image, or one."""
        ...

    @property
    def is_windowed(self) -> bool:
        """Whether `tiles` are windows, not the whole image."""
        ...

    @property
    def has_one_view(self) -> bool:
        """Whether the plain view is the only one."""
        ...

    def views(self) -> Iterator[ArrayView]:
        """Yield the views whose scores are averaged."""
        ...

    def whole(self) -> tuple[NamedArrays, tuple[int, ...]]:
        """Run the network on the whole image.

        Returns:
            Its outputs, and the size *S that they stand for: that of the image with the padding around it.

        Raises:
            DataError: The image is too large.
        """
        ...

    def tiles(self) -> Iterator[ArrayTile]:
        """Yield the outputs of each window on its own, for objects that cannot be blended; one if whole."""
        ...
