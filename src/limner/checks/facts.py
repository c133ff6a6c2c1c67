"""Facts about a dataset, measured by reading every file once, as frozen data.

Shape legend: H, W spatial sizes, C channels. Areas are in pixels, intensities in the values of the file.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from limner.checks.volume_facts import VolumeFacts
from limner.core.wording import element

GRID = 8
"""Cells along each axis of the coarse grids `occupancy` and `thumbnail_means`."""

THUMBNAIL = 32
"""Pixels along each axis of the thumbnail that confirms near duplicates."""

Grid = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Intensity:
    """The values of one channel of one image, in the units of the file.

    Attributes:
        minimum: Smallest value.
        maximum: Largest value.
        mean: Mean value.
        std: Standard deviation (divided by n).
        low: The 0.5 percentile.
        high: The 99.5 percentile.
    """

    minimum: float
    maximum: float
    mean: float
    std: float
    low: float
    high: float


@dataclass(frozen=True)
class Components:
    """The connected components of one mask value in one image.

    Attributes:
        count: Number of 8-connected components.
        median_area: Median size of a component, in pixels.
    """

    count: int
    median_area: float


@dataclass(frozen=True)
class ObjectFacts:
    """The objects of one class in one image.

    Attributes:
        count: Number of objects.
        crowds: Number of objects that are crowds.
        smallest: Pixels of the smallest object, or of the smallest box.
        median: Median of their pixels.
        largest: Pixels of the largest object.
    """

    count: int
    crowds: int
    smallest: float
    median: float
    largest: float


@dataclass(frozen=True)
class ImageFacts:
    """Facts about one image and its labels.

    Equality does not compare the three pixel arrays.

    Attributes:
        name: The record's name.
        split: The split from the layout, or None.
        image_file: The image, relative to the dataset folder.
        label_file: The first label file, relative to the dataset folder; empty for an unlabelled image.
        image_error: Why the image cannot be read, or None.
        label_error: Why the labels cannot be read, or None.
        shape: (H, W) of the image, or (D, H, W); empty if it cannot be read.
        channels: C, as training sees them (alpha dropped).
        dtype: numpy name of the pixel type, such as ``uint8``; empty if it cannot be read.
        label_shape: Spatial shape of the labels, or None for an unlabelled or unreadable one.
        label_kind: How `value_counts` were read: as the file's own index, by colour, by threshold, or as
            numbers of objects; or that they are classes of the whole image (``class``), counted as 1 each.
        label_channels: Channels of the label file; 1 for palette files.
        value_counts: Mask value -> pixels, before any translation; pixels outside the field of view, where
            there is one, are not counted. Of a mask with very many values (a
            photograph) only the most common are listed; `num_values` counts all of them.
        num_values: Number of different values in the mask.
        content_hash: Hexadecimal digest of the decoded pixels and their shape: the same picture in two
            file formats has the same one.
        perceptual_hash: 64 bits; similar pictures differ in few of them.
        has_alpha: The image file has an alpha channel.
        has_palette: The image file stores palette indices.
        is_exif_rotated: The image file asks for a rotation or mirror through EXIF.
        is_grey: All channels are equal (or there is one).
        palette: Mask value -> its colour as packed RGB, if the mask stores palette indices; of values that
            occur.
        label_names: Mask value -> its name, if the label file lists names; of values that occur.
        label_is_inverted: The mask is a TIFF tagged WhiteIsZero.
        no_data_pixels: Number of pixels without data, which statistics, losses and scores leave out.
        label_no_data: The mask's no-data value by GDAL's tag, or None.
        label_is_lossy: The mask is stored with lossy compression (JPEG, lossy WebP).
        intensities: C statistics.
        objects: Mask value -> its objects; empty if the labels have no separate objects.
        label_problems: Problems of single annotations: code, where, found, and count of each kind.
        components: Mask value -> its connected components; empty for volumes and masks of very many values.
        values_in_one_piece: Number of values other than 0 that form one piece; None if that was not measured.
        value_centers: Mask value -> mean row and column of its pixels, as fractions of the longer side, for
            the values in `components`.
        occupancy: (8, 8) float32 in [0, 1], or None without labels: the share of each cell's pixels that
            are not of the most common value of the whole dataset.
        thumbnail_means: (8, 8) float32 in [0, 1], or None: the mean grey of each cell. 8-bit images are
            divided by 255, all others stretched between the image's own 0.5 and 99.5 percentiles.
        thumbnail: (32, 32) uint8 grey, or None: the picture small enough to compare pixel by pixel.
        volume: Position of the voxels of a volume; None for an image.
    """

    name: str
    split: str | None = None
    image_file: str = ""
    label_file: str = ""
    image_error: str | None = None
    label_error: str | None = None
    shape: tuple[int, ...] = ()
    channels: int = 0
    dtype: str = ""
    label_shape: tuple[int, ...] | None = None
    label_kind: Literal["index", "color", "threshold", "objects", "class"] = "index"
    label_channels: int = 1
    value_counts: dict[int, int] = field(default_factory=dict)
    num_values: int = 0
    content_hash: str = ""
    perceptual_hash: int = 0
    has_alpha: bool = False
    has_palette: bool = False
    is_exif_rotated: bool = False
    is_grey: bool = False
    label_is_lossy: bool = False
    palette: dict[int, int] = field(default_factory=dict)
    label_names: dict[int, str] = field(default_factory=dict)
    label_is_inverted: bool = False
    no_data_pixels: int = 0
    label_no_data: int | None = None
    objects: dict[int, ObjectFacts] = field(default_factory=dict)
    label_problems: tuple[tuple[str, str, str, int], ...] = ()
    intensities: tuple[Intensity, ...] = ()
    components: dict[int, Components] = field(default_factory=dict)
    values_in_one_piece: int | None = None
    value_centers: dict[int, tuple[float, float]] = field(default_factory=dict)
    occupancy: Grid | None = field(default=None, compare=False)
    thumbnail_means: Grid | None = field(default=None, compare=False)
    thumbnail: npt.NDArray[np.uint8] | None = field(default=None, compare=False)
    volume: VolumeFacts | None = None

    @property
    def is_labelled(self) -> bool:
        """Whether there is a label file, readable or not."""
        return bool(self.label_file)

    @property
    def is_usable(self) -> bool:
        """Whether image and labels were read and have the same size."""
        return self.image_error is None and self.label_shape is not None and self.label_shape == self.shape


@dataclass(frozen=True)
class DatasetFacts:
    """The facts about every image, in the order of the source's records."""

    images: tuple[ImageFacts, ...]

    @property
    def are_classes(self) -> bool:
        """Whether labels are classes of whole images."""
        return any(image.label_kind == "class" for image in self.images)

    @cached_property
    def labelled(self) -> tuple[ImageFacts, ...]:
        """The images whose labels were read."""
        return tuple(image for image in self.images if image.label_shape is not None)

    @cached_property
    def usable(self) -> tuple[ImageFacts, ...]:
        """The images that can be trained on: image and labels read, sizes equal."""
        return tuple(image for image in self.images if image.is_usable)

    @cached_property
    def volumes(self) -> tuple[ImageFacts, ...]:
        """The images that are volumes, if they could be read."""
        return tuple(image for image in self.images if image.volume is not None)

    @property
    def element(self) -> str:
        """What the images consist of: ``voxel`` if there are volumes among them, else ``pixel``."""
        return element(3 if self.volumes else 2)

    @cached_property
    def value_counts(self) -> Counter[int]:
        """Mask value -> pixels over all labels that were read."""
        return _total_counts(self.labelled)

    def by_palette(self) -> "DatasetFacts":
        """Return the facts as if masks with a palette had been read by colour."""
        return DatasetFacts(tuple(map(_by_palette, self.images)))

    def as_objects(self) -> "DatasetFacts":
        """Return the facts as if each value but 0 had been read as an object of the class 1."""
        return DatasetFacts(tuple(map(_as_objects, self.images)))

    def with_splits(self, names: dict[str, str]) -> "DatasetFacts":
        """Return the facts with each image's split taken from `names` (image name -> split)."""
        return DatasetFacts(tuple(replace(i, split=names.get(i.name, i.split)) for i in self.images))


def in_order(splits: Iterable[str]) -> list[str]:
    """Return names of splits in the usual order: train, val, test, then any others."""
    order = {"train": 0, "val": 1, "test": 2}
    return sorted(set(splits), key=lambda split: (order.get(split, 3), split))


def _by_palette(image: ImageFacts) -> ImageFacts:
    if not image.palette:
        return image
    counts: Counter[int] = Counter()
    for value, pixels in image.value_counts.items():
        counts[image.palette[value]] += pixels
    return replace(
        image, label_kind="color", value_counts=dict(counts), components={}, value_centers={}, palette={}
    )


def _as_objects(image: ImageFacts) -> ImageFacts:
    counts: Counter[int] = Counter()
    for value, pixels in image.value_counts.items():
        counts[int(value != 0)] += pixels
    return replace(image, label_kind="objects", value_counts=dict(counts), components={}, value_centers={})


def _total_counts(images: Iterable[ImageFacts]) -> Counter[int]:
    """Return mask value -> pixels over `images`."""
    total: Counter[int] = Counter()
    for image in images:
        total.update(image.value_counts)
    return total
