"""Targets: what is known of an image beside its pixels, of whatever kind.

A kind is one class: `LabelMap`, `Segments`, `Boxes`, `Words`, `ImageClass`. Samples and batches hold targets
by kind, and transforms move them, without knowing any; `loading.target_readers` says how each is read.

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
"""(P, D) x, y in pixels, and z in volumes: the order of the axes turned round. Pixel 0 covers 0 to 1."""

FormT = TypeVar("FormT")


@dataclass(frozen=True)
class Move:
    """Where a transform takes the pixels of an image.

    Attributes:
        shape: *S of the image when it has been moved.
        labels: Moves an array (*S) whose values are never mixed, given the value of what lies outside it.
        points: Moves points (P, D); some may end outside the image.
    """

    shape: tuple[int, ...]
    labels: Callable[[Array, int], Array]
    points: Callable[[Points], Points]


@dataclass(frozen=True)
class Target(ABC, Generic[FormT]):
    """One kind of target, of one image, on the CPU. A kind is a frozen dataclass.

    The parameter is the form it has in a batch: a tensor whose first axis is the images, or a tuple of an
    `ImageTargets` for each image.
    """

    key: ClassVar[str]
    """The kind in a word, as it is named in files and messages."""

    @property
    def spatial_shape(self) -> tuple[int, ...] | None:
        """*S of the image it belongs to, or None where it is not tied to pixels."""
        return None

    @abstractmethod
    def moved(self, move: Move) -> "Self":
        """Return the target of the moved image."""

    @classmethod
    @abstractmethod
    def stack(cls, targets: Sequence["Self"], *, pin_memory: bool = False) -> FormT:
        """Return the targets of several images of one size in the form that a batch holds.

        Args:
            targets: B of them.
            pin_memory: Put what is large in page-locked memory.
        """

    def foreground_pixel(self, rng: np.random.Generator, background: int | None) -> tuple[int, ...] | None:
        """Draw a pixel that is worth seeing.

        Args:
            rng: The source of chance.
            background: Trained index of the class that is never foreground, or None.

        Returns:
            Its position along each axis, or None where there is none, or where the kind has no pixels.
        """
        return None

    def largest_share(self, start: tuple[int, ...], window: tuple[int, ...]) -> float:
        """Return the part of a window's labelled pixels that one class fills; 0 if the kind cannot say.

        Args:
            start: First pixel of the window along each axis; may be negative.
            window: Its size.
        """
        return 0.0

    def arrays(self) -> Iterator[Array]:
        """Yield every array that it holds."""
        for field in fields(self):
            value = getattr(self, field.name)
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, np.ndarray):
                    yield each


@dataclass(frozen=True)
class ImageTargets:
    """What a batch holds of one image, where the images differ in shape; a kind adds tensors and words."""

    def to(self, device: "torch.device", *, non_blocking: bool = True) -> "Self":
        """Return the targets on `device`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        moved = {n: v.to(device, non_blocking=non_blocking) for n, v in values.items() if hasattr(v, "to")}
        return replace(self, **moved)
