"""Samples: one image with its labels, as numpy arrays.

Axes are channels-last: an image is (*spatial, C) with spatial (H, W) for 2D and (D, H, W) for volumes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy.typing as npt

from limner.core.picture import PLAIN, Geometry, Image, Picture
from limner.core.targets import Move, Target

TargetT = TypeVar("TargetT", bound=Target[Any])


@dataclass(frozen=True)
class Record:
    """The files of one image and its labels; a few hundred bytes, so millions fit in memory.

    Attributes:
        name: Unique in the dataset: the image's path relative to its images folder, without suffix.
        image: The image file, or the first of several.
        labels: The label files: none for an unlabelled image, one for an index mask, several if each
            instance has its own mask.
        split: The split according to the layout on disk (``train``, ``val``, ``test``), or None.
        valid_region: A mask file whose zero pixels are ignored (a field of view), or None.
        entry: Key of the image in label files shared by many images, such as its COCO id, with which the
            source looks up the image's labels.
        label: Class of the whole image, as numbered by its source; None if there are other labels, or none.
        tags: Classes of the whole image where it may have any number of them, or None.
        more_images: Further files of the image, for more channels or slices, in order.
        split_from: The list file or folder that gives the split, relative to the dataset folder; None if it
            comes from the folders of the files, from the label file, or there is no split.
    """

    name: str
    image: Path
    labels: tuple[Path, ...] = ()
    split: str | None = None
    valid_region: Path | None = None
    entry: str | None = None
    label: int | None = None
    more_images: tuple[Path, ...] = ()
    split_from: str | None = None
    tags: tuple[int, ...] | None = None

    @property
    def images(self) -> tuple[Path, ...]:
        """The files of the image."""
        return (self.image, *self.more_images)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the record."""
        region = () if self.valid_region is None else (self.valid_region,)
        return (*self.images, *self.labels, *region)


@dataclass(frozen=True)
class Sample:
    """One image and its targets.

    Attributes:
        name: The record's name.
        image: (*spatial, C) in file values.
        targets: At most one target of each kind; empty for an unlabelled image.
        spacing_mm: Distance between neighbouring pixels along each spatial axis, in the order of the
            array's axes, or None if unknown or meaningless.
        geometry: Position of the image as read from disk; transforms that move pixels do not keep it.
        stored_dtype: Name of the type of the values in the file, such as ``int16``, which reading may have
            changed; empty if unknown, and after transforms that move pixels.
        reduction: Number of pixels of the targets, along each axis, that a pixel of `image` stands for, as of
            `Picture`. Once it is cropped, a sample has one size again.
    """

    name: str
    image: Image
    targets: tuple[Target[Any], ...] = ()
    spacing_mm: tuple[float, ...] | None = None
    geometry: Geometry = PLAIN
    stored_dtype: str = ""
    reduction: int = 1

    def __post_init__(self) -> None:
        assert self.image.ndim >= 3, f"an image is (*spatial, C), found shape {self.image.shape}"
        assert len({type(target) for target in self.targets}) == len(self.targets), "two targets of one kind"
        for target in self.targets:
            assert target.spatial_shape in (None, self.spatial_shape), (
                target.spatial_shape,
                self.image.shape,
            )

    def get(self, kind: type[TargetT]) -> TargetT | None:
        """Return the target of a kind, or None if there is none."""
        return next((target for target in self.targets if isinstance(target, kind)), None)

    def moved(self, move: Move, image: Image, spacing_mm: tuple[float, ...] | None) -> "Sample":
        """Return the sample with the moved `image`, its `spacing_mm`, and targets moved accordingly."""
        targets = tuple(target.moved(move) for target in self.targets)
        return Sample(self.name, image, targets, spacing_mm)

    @property
    def nbytes(self) -> int:
        """Size of all its arrays in bytes."""
        return sum(array.nbytes for array in self.arrays())

    def arrays(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the image, then the arrays of the targets."""
        yield self.image
        for target in self.targets:
            yield from target.arrays()

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """(H, W) or (D, H, W) of the targets, and of the image unless it is reduced."""
        return tuple(side * self.reduction for side in self.image.shape[:-1])

    @property
    def picture(self) -> Picture:
        """The image with its geometry."""
        return Picture(self.image, self.geometry, stored_dtype=self.stored_dtype, reduction=self.reduction)


def size_text(shape: tuple[int, ...]) -> str:
    """Return a size as text, in the usual order ``width x height`` (then depth)."""
    return "x".join(str(side) for side in reversed(shape))


def axes_text(shape: tuple[int, ...]) -> str:
    """Return the names of the numbers of `size_text`: ``width x height``, or with depth."""
    return " x ".join(("width", "height", "depth")[: len(shape)])


def place_text(position: Iterable[int]) -> str:
    """Return a position as text: ``row 3, column 4``; in a volume ``voxel (x 4, y 3, slice 2)``, from 0."""
    *slices, row, column = (int(index) for index in position)
    return f"voxel (x {column}, y {row}, slice {slices[0]})" if slices else f"row {row}, column {column}"
