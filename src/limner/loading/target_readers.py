"""How each kind of target is read: the table of kinds.

A new kind is one class beside those of `core`, and one row of `READERS`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from limner.core.boxes import Boxes
from limner.core.image_class import ImageClass
from limner.core.label_map import LabelMap
from limner.core.labels import LabelTable
from limner.core.sample import Record
from limner.core.segments import Segments
from limner.core.targets import Target
from limner.core.words import Words
from limner.formats.source import Source


def _read_label_map(source: Source, record: Record, table: LabelTable) -> LabelMap:
    labels = table.encode(source.read_values(record), where=label_files(record))
    # A mask may be one channel of three: a view that would keep all of them in memory.
    return LabelMap(np.ascontiguousarray(labels))


def _read_segments(source: Source, record: Record, table: LabelTable) -> Segments:
    return table.encode_segments(source.read_segments(record), where=label_files(record))


def _read_boxes(source: Source, record: Record, table: LabelTable) -> Boxes:
    return table.encode_boxes(source.read_boxes(record), where=label_files(record))


def _read_words(source: Source, record: Record, table: LabelTable) -> Words:
    return source.read_words(record)


def _read_image_class(source: Source, record: Record, table: LabelTable) -> ImageClass:
    return ImageClass(table.encode_class(source.read_class(record), where=label_files(record)))


READERS: Mapping[type[Target[Any]], Callable[[Source, Record, LabelTable], Target[Any]]] = {
    LabelMap: _read_label_map,
    Segments: _read_segments,
    Boxes: _read_boxes,
    Words: _read_words,
    ImageClass: _read_image_class,
}
"""Kind -> what reads it, with trained labels; the errors are those of the source and of the table."""


def label_files(record: Record) -> str:
    """Return the label files of a record in words, for messages."""
    if not record.labels:
        return str(record.image)
    more = f" and {len(record.labels) - 1} more" if len(record.labels) > 1 else ""
    return f"{record.labels[0]}{more}"
