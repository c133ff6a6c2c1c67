"""Samples: one image with its labels, on the CPU, as numpy arrays.

Axes are channels-last: an image is (*spatial, C) with spatial (H, W) for 2D and (D, H, W) for volumes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.segments import Segments

Image = npt.NDArray[Any]
"""(*spatial, C) uint8, uint16 or float32, in the values of the file."""

LabelMap = npt.NDArray[np.uint8]
"""(*spatial) trained labels 0..K-1, or `IGNORE_INDEX`."""


@dataclass(frozen=True)
class Record:
    """Where one labelled image lies on disk; a few hundred bytes, so millions fit in memory.

    Attributes:
        name: Unique in the dataset: the image's path relative to its images folder, without suffix.
        image: The image file.
        labels: The label files: none for an unlabelled image, one for an index mask, many for one
            mask an instance.
        split: The split that the layout on disk says (``train``, ``val``, ``test``), or None.
        valid_region: A mask file whose zero pixels are to be ignored (a field of view), or None.
        entry: What the image is called inside label files that serve many images, such as its COCO id; its
            source has read them once and finds the image's part by it.
        label: What the whole image shows, as its source numbers the classes, or None where labels say more
            than that (or nothing).
    """

    name: str
    image: Path
    labels: tuple[Path, ...] = ()
    split: str | None = None
    valid_region: Path | None = None
    entry: str | None = None
    label: int | None = None


@dataclass(frozen=True)
class Sample:
    """One image and what is known about it.

    Attributes:
        name: The record's name.
        image: (*spatial, C) in the values of the file.
        semantic: (*spatial) uint8 trained labels, or None for an unlabelled image.
        spacing_mm: Distance between neighbouring pixels along each spatial axis, in the order of the
            array's axes, or None where it is unknown or meaningless.
        segments: The objects and regions with trained labels, or None where the task has no use for them.
        label: The trained label of the whole image, or None where labels are not of that kind.
    """

    name: str
    image: Image
    semantic: LabelMap | None = None
    spacing_mm: tuple[float, ...] | None = None
    segments: Segments | None = None
    label: int | None = None

    def __post_init__(self) -> None:
        assert self.image.ndim >= 3, f"an image is (*spatial, C), found shape {self.image.shape}"
        if self.semantic is not None:
            assert self.semantic.shape == self.image.shape[:-1], (self.semantic.shape, self.image.shape)
        if self.segments is not None:
            assert self.segments.spatial_shape == self.image.shape[:-1], self.segments.spatial_shape

    @property
    def is_labelled(self) -> bool:
        """There is something to compare a prediction with."""
        return self.semantic is not None or self.segments is not None or self.label is not None

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """(H, W) or (D, H, W)."""
        return tuple(self.image.shape[:-1])


def size_text(shape: tuple[int, ...]) -> str:
    """Return ``width x height`` (then depth), the order in which people name sizes."""
    return "x".join(str(side) for side in reversed(shape))
