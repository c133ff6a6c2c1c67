"""Dataset: the records of one split, decoded on demand to samples with trained labels."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from limner.core.errors import DataError, describe
from limner.core.label_map import LabelMap
from limner.core.labels import LabelTable
from limner.core.picture import Picture
from limner.core.sample import Record, Sample, axes_text, size_text
from limner.core.targets import Array, Move, Target
from limner.formats.source import Source
from limner.images.masks import read_valid_region
from limner.images.pixels import Reduce
from limner.loading.image_cache import MemoryCache
from limner.loading.target_readers import READERS, label_files

Region = npt.NDArray[np.bool_]


class Dataset:
    """Samples of `records`, in order; thread-safe.

    Args:
        source: Reads the files.
        records: The images; each must have labels.
        labels: Translates mask values into trained labels.
        targets: Kinds of targets of the samples, rows of `READERS`.
        cache: Cache of decoded images. ``memory`` uses up to half of the free memory; None decodes images
            every time.
        reduce: Chooses the factor by which JPEGs are decoded smaller; their labels stay at full size.
    """

    def __init__(
        self,
        source: Source,
        records: Sequence[Record],
        labels: LabelTable,
        *,
        targets: tuple[type[Target[Any]], ...] = (LabelMap,),
        cache: MemoryCache | Literal["memory"] | None = "memory",
        reduce: Reduce | None = None,
    ) -> None:
        self.source = source
        self.records = tuple(records)
        self.labels = labels
        self.targets = targets
        self.reduce = reduce
        self.cache = MemoryCache() if cache == "memory" else cache

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        """Return sample `index`, not cropped; its arrays are shared with the cache and read-only.

        Raises:
            DataError: A file cannot be read, image and labels differ in size, or a mask has a value that is
                not in the label table; the message names the file.
        """
        record = self.records[index]
        sample = None if self.cache is None else self.cache.get(record.name)
        if sample is None:
            sample = self._decode(record)
            if self.cache is not None:
                self.cache.put(sample)
        return sample

    @property
    def classes(self) -> list[int | None]:
        """The class of each sample as a whole, or None."""
        return [record.label for record in self.records]

    def name_of(self, index: int) -> str:
        """Return the name of a sample without reading it."""
        return self.records[index].name

    def _decode(self, record: Record) -> Sample:
        # Formats of others may lack the option, which few models need.
        options = {} if self.reduce is None else {"reduce": self.reduce}
        picture = self.source.read_image(record, **options)
        region = self._region(record, picture)
        targets = tuple(self._read(kind, record, picture.size, region) for kind in self.targets)
        sample = Sample(
            record.name,
            picture.array,
            targets,
            picture.geometry.spacing_mm,
            picture.geometry,
            picture.stored_dtype,
            picture.reduction,
        )
        for array in sample.arrays():
            array.flags.writeable = False
        return sample

    def _region(self, record: Record, picture: Picture) -> Region | None:
        """Return (*spatial): the pixels with data in the field of view, or None if all are."""
        if record.valid_region is None:
            return picture.valid
        seen = read_valid_region(record.valid_region, picture.size)
        return seen if picture.valid is None else seen & picture.valid

    def _read(
        self, kind: type[Target[Any]], record: Record, shape: tuple[int, ...], region: Region | None
    ) -> Target[Any]:
        target = READERS[kind](self.source, record, self.labels)
        if target.spatial_shape not in (None, shape):
            raise _sizes_differ(record, shape, target.spatial_shape)
        if region is None:
            return target

        def labels(array: Array, outside: int) -> Array:
            return np.where(region, array, array.dtype.type(outside))

        return target.moved(Move(shape, labels, points=lambda points: points))


def _sizes_differ(record: Record, image: tuple[int, ...], labels: tuple[int, ...]) -> DataError:
    return DataError(
        describe(
            "The labels and their image differ in size",
            where=label_files(record),
            found=f"labels of {size_text(labels)} ({axes_text(labels)})",
            expected=f"{size_text(image)}, as in {record.image}",
            fix="Export the mask at the image's size, or remove the pair.",
        )
    )
