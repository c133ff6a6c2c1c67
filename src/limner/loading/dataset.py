"""Dataset: the records of one split, decoded on demand into Samples with trained labels."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from limner.core.errors import DataError, describe
from limner.core.labels import IGNORE_INDEX, LabelTable
from limner.core.sample import LabelMap, Record, Sample, size_text
from limner.core.segments import Segments
from limner.formats.source import Source
from limner.images.masks import read_valid_region
from limner.loading.image_cache import Decoded, MemoryCache

Target = Literal["semantic", "segments"]


def targets_of(task: str) -> Target:
    """Return what the samples of a task of `TASKS` carry."""
    return "semantic" if task == "semantic" else "segments"


class Dataset:
    """Samples of `records`, in their order; safe to read from several threads.

    Args:
        source: Reads the files.
        records: Which images; each must have labels.
        labels: Translates mask values into trained labels.
        gives: What the samples carry besides the image: the label map (``semantic``) or the ``segments``.
        cache: Keeps decoded images for the next pass. ``memory`` keeps as many as half of the free memory
            holds; None decodes every time.
    """

    def __init__(
        self,
        source: Source,
        records: Sequence[Record],
        labels: LabelTable,
        *,
        gives: Target = "semantic",
        cache: MemoryCache | Literal["memory"] | None = "memory",
    ) -> None:
        self.source = source
        self.records = tuple(records)
        self.labels = labels
        self.gives = gives
        self.cache = MemoryCache() if cache == "memory" else cache

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        """Return sample `index` at full size; its arrays are shared with the cache and read-only.

        Raises:
            DataError: A file cannot be read, image and labels differ in size, or a mask holds a value that
                the label table does not know; the message names the file.
        """
        record = self.records[index]
        decoded = None if self.cache is None else self.cache.get(record)
        if decoded is None:
            decoded = self._decode(record)
            if self.cache is not None:
                self.cache.put(record, decoded)
        return Sample(record.name, decoded.image, decoded.semantic, segments=decoded.segments)

    def _decode(self, record: Record) -> Decoded:
        image = self.source.read_image(record)
        image.flags.writeable = False
        if self.gives == "segments":
            return Decoded(image, segments=self._segments(record, image.shape[:-1]))
        return Decoded(image, semantic=self._semantic(record, image.shape[:-1]))

    def _segments(self, record: Record, shape: tuple[int, ...]) -> Segments:
        segments = self.labels.encode_segments(self.source.read_segments(record), where=_label_files(record))
        if segments.spatial_shape != shape:
            raise _sizes_differ(record, shape, segments.spatial_shape)
        if record.valid_region is not None:
            region = read_valid_region(record.valid_region, shape)
            segments = segments.moved(lambda layer: layer * region)
        segments.layers.flags.writeable = False
        return segments

    def _semantic(self, record: Record, shape: tuple[int, ...]) -> LabelMap:
        semantic = self.labels.encode(self.source.read_values(record), where=_label_files(record))
        if semantic.shape != shape:
            raise _sizes_differ(record, shape, semantic.shape)
        if record.valid_region is not None:
            region = read_valid_region(record.valid_region, semantic.shape)
            semantic = np.where(region, semantic, np.uint8(IGNORE_INDEX))
        # A mask may be one channel of three: a view that would keep all of them in memory.
        semantic = np.ascontiguousarray(semantic)
        semantic.flags.writeable = False
        return semantic


def _label_files(record: Record) -> str:
    more = f" and {len(record.labels) - 1} more" if len(record.labels) > 1 else ""
    return f"{record.labels[0]}{more}"


def _sizes_differ(record: Record, image: tuple[int, ...], labels: tuple[int, ...]) -> DataError:
    return DataError(
        describe(
            "The labels and their image differ in size",
            where=_label_files(record),
            found=f"labels of {size_text(labels)} (width x height)",
            expected=f"{size_text(image)}, as {record.image}",
            fix="Export the mask at the image's size, or take the pair out.",
        )
    )
