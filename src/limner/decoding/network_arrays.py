"""Runs of a network without PyTorch, whose outputs are arrays: `inference/` offers them to the tasks.

Shape legend: K classes, *S spatial axes, *s network resolution.
"""

from collections.abc import Iterable, Iterator
from types import EllipsisType
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from limner.core.plan import InferencePlan

if TYPE_CHECKING:
    from limner.decoding.network_runs import Box

Logits = npt.NDArray[np.float32]
"""(1, K, *s) of each pixel, or (1, K) of the whole image."""


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

    def parts(self) -> Iterator[tuple["Box", Logits]]:
        """Yield parts of the view, which do not overlap, and the logits there.

        One part is the whole view, with logits of any resolution; several have logits of its resolution.
        """
        ...


class ArrayRuns(Protocol):
    """One image, ready for the network."""

    @property
    def size(self) -> tuple[int, ...]:
        """*S of the image itself, and so of its prediction."""
        ...

    @property
    def settings(self) -> InferencePlan:
        """The settings of the prediction."""
        ...

    @property
    def has_one_view(self) -> bool:
        """Whether the plain view is the only one."""
        ...

    def views(self) -> Iterator[ArrayView]:
        """Yield the views whose scores are averaged."""
        ...
