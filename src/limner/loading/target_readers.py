"""Table of the functions that read each kind of target.

A new kind needs a class in `core`, and a row in `READERS`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from limner.core.boxes import Boxes
from limner.core.image_class import ClassShares, ImageClass
from limner.core.label_map import LabelMap
from limner.core.labels import LabelTable
from limner.core.sample import Record
from limner.core.segments import Segments
from limner.core.targets import Target
from limner.core.words import Words
from limner.formats.source import Source


def _read_label_map(source: Source, record: Record, table: LabelTable) -> LabelMap:
    labels = table.encode(source.read_values(record), where=label_files(record))
    # A mask may be a view of one of three channels, which would keep all of them in memory.
    return LabelMap(np.ascontiguousarray(labels))


def _read_segments(source: Source, record: Record, table: LabelTable) -> Segments:
    return table.encode_segments(source.read_segments(record), where=label_files(record))


def _read_boxes(source: Source, record: Record, table: LabelTable) -> Boxes:
    return table.encode_boxes(source.read_boxes(record), where=label_files(record)).clipped()


def _read_words(source: Source, record: Record, table: LabelTable) -> Words:
    return source.read_words(record)


def _read_image_class(source: Source, record: Record, table: LabelTable) -> ImageClass:
    return ImageClass(table.encode_class(source.read_class(record), where=label_files(record)))


def _read_class_shares(source: Source, record: Record, table: LabelTable) -> ClassShares:
    return ClassShares(table.encode_tags(source.read_tags(record), where=label_files(record)))


READERS: Mapping[type[Target[Any]], Callable[[Source, Record, LabelTable], Target[Any]]] = {
    LabelMap: _read_label_map,
    Segments: _read_segments,
    Boxes: _read_boxes,
    Words: _read_words,
    ImageClass: _read_image_class,
    ClassShares: _read_class_shares,
}
"""Kind -> function that reads it with trained labels; raises the errors of the source and the table."""


def label_files(record: Record) -> str:
    """Describe the label files of a record, for messages."""
    if not record.labels:
        return str(record.image)
    more = f" and {len(record.labels) - 1} more" if len(record.labels) > 1 else ""
    return f"{record.labels[0]}{more}"
