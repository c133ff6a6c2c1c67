"""Targets: the annotations of an image, of several kinds.

Each kind is a class: `LabelMap`, `Segments`, `Boxes`, `Words`, `ImageClass`. Samples, batches and transforms
work with any kind; `loading.target_readers` defines how each is read.

Shape legend: B batch, P points, *S spatial axes.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch
    from typing_extensions import Self

Array = npt.NDArray[Any]

Points = npt.NDArray[np.float64]
"""(P, D) x, y in pixels, and z in volumes: the array's axes in reverse order. Pixel 0 covers 0 to 1."""

FormT = TypeVar("FormT")


@dataclass(frozen=True)
class Move:
    """The geometric part of a transform: where it moves the pixels of an image.

    Attributes:
        shape: *S of the moved image.
        labels: Moves an array (*S) without interpolating values, given the value for pixels outside it.
        points: Moves points (P, D); some may end up outside the image.
    """

    shape: tuple[int, ...]
    labels: Callable[[Array, int], Array]
    points: Callable[[Points], Points]


@dataclass(frozen=True)
class Target(ABC, Generic[FormT]):
    """Base class of the targets of one image. Each kind is a frozen dataclass.

    The type parameter is its form in a batch: a tensor whose first axis is the images, or a tuple with one
    `ImageTargets` per image.
    """

    key: ClassVar[str]
    """Name of the kind in files and messages."""

    @property
    def spatial_shape(self) -> tuple[int, ...] | None:
        """*S of its image, or None if the target has no positions."""
        return None

    @property
    def is_scored(self) -> bool:
        """Whether anything in it counts in a score, so that it is not ignored as a whole."""
        return True

    @abstractmethod
    def moved(self, move: Move) -> "Self":
        """Return the target of the moved image."""

    @classmethod
    @abstractmethod
    def stack(cls, targets: Sequence["Self"], *, pin_memory: bool = False) -> FormT:
        """Return the targets of several images of the same size in their form in a batch.

        Args:
            targets: B targets.
            pin_memory: Whether to put large tensors in page-locked memory.
        """

    def foreground_pixel(self, rng: np.random.Generator, background: int | None) -> tuple[int, ...] | None:
        """Draw a random foreground pixel.

        Args:
            rng: Random generator.
            background: Trained index of the background class, or None.

        Returns:
            Its position along each axis, or None if there is none or the kind has no positions.
        """
        return None

    def largest_share(self, start: tuple[int, ...], window: tuple[int, ...]) -> float:
        """Return the largest fraction of a window's labelled pixels in one class; 0 if not applicable.

        Args:
            start: First pixel of the window along each axis; may be negative.
            window: Its size.
        """
        return 0.0

    def num_cut(self, start: tuple[int, ...], window: tuple[int, ...]) -> int:
        """Return the number of objects that the border of a window cuts, for kinds that need whole ones.

        Args:
            start: First pixel of the window along each axis; may be negative.
            window: Its size.
        """
        return 0

    def arrays(self) -> Iterator[Array]:
        """Yield all its arrays."""
        for field in fields(self):
            value = getattr(self, field.name)
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, np.ndarray):
                    yield each


@dataclass(frozen=True)
class ImageTargets:
    """The targets of one image in a batch, for kinds whose number varies by image; subclasses add fields."""

    def to(self, device: "torch.device", *, non_blocking: bool = True) -> "Self":
        """Return the targets on `device`, except for what the host must know without waiting for it."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        moved = {n: v.to(device, non_blocking=non_blocking) for n, v in values.items() if hasattr(v, "to")}
        return replace(self, **moved)
