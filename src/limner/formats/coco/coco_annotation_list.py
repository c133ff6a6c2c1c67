"""The annotations of a COCO JSON: the position of each of a million in the file, without keeping them parsed.

Shape legend: M annotations.
"""

import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from limner.core.errors import DataError, describe
from limner.storage.json_files import parse_json

T = TypeVar("T", bound=msgspec.Struct)
Offsets = npt.NDArray[np.int64]

NO_MASK = (b"", b"[]", b"[[]]", b"{}", b"null")
_SPACES = b" \t\r\n"
_MAX_EMPTY = 32
"""Bytes of the longest text that may be one of `NO_MASK`, with the spaces in it."""


class _Lists(msgspec.Struct):
    images: Any = None
    categories: Any = None
    annotations: list[msgspec.Raw] | None = None


class Head(msgspec.Struct, gc=False):
    """The part of an annotation that indexing needs; `shape` is unparsed text."""

    id: Any = None
    image_id: Any = None
    category_id: Any = None
    shape: msgspec.Raw = msgspec.field(default=msgspec.Raw(b""), name="segmentation")

    box: msgspec.Raw = msgspec.field(default=msgspec.Raw(b""), name="bbox")

    @property
    def has_box(self) -> bool:
        """There is a box, sound or not."""
        return _says(self.box)

    @property
    def has_mask(self) -> bool:
        """There is a polygon or a run length, sound or not."""
        return _says(self.shape)


def _says(text: msgspec.Raw) -> bool:
    """Tell whether a text is more than an empty list or object."""
    return bytes(text).translate(None, _SPACES) not in NO_MASK


@dataclass(frozen=True)
class AnnotationList:
    """Annotations as slices of a file; one is parsed when it is asked for.

    Attributes:
        path: The JSON file.
        starts: (M,) the first byte of each.
        stops: (M,) the byte after its last.
        stamp: Size and time of the file, by which a later change is noticed; None where `text` is kept.
        text: The text, where the file is not in UTF-8 or holds what JSON has not; None reads the file.
        heads: Of each, while the file is indexed; dropped afterwards.
    """

    path: Path
    starts: Offsets
    stops: Offsets
    stamp: tuple[int, int] | None
    text: bytes | None = None
    heads: Sequence[Head] = field(default=(), repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows(range(len(self))))

    @cached_property
    def ids(self) -> dict[str, list[object]]:
        """The ids of each as they are written, all of one kind together."""
        return {key: list(map(attrgetter(key), self.heads)) for key in ("id", "image_id", "category_id")}

    @cached_property
    def has_text_ids(self) -> bool:
        """An id is written as text."""
        return any(str in {*map(type, column)} for column in self.ids.values())

    @cached_property
    def without_mask(self) -> list[int]:
        """The places of those with neither polygon nor run length, in their order."""
        sizes = _lengths([head.shape for head in self.heads])
        few = np.flatnonzero(sizes <= _MAX_EMPTY).tolist()
        return [place for place in few if not self.heads[place].has_mask]

    def rows(self, places: Iterable[int]) -> Iterator[dict[str, Any]]:
        """Parse the annotations at these places of the list.

        Raises:
            DataError: The file is gone, or has changed since it was indexed.
        """
        return map(_decoded, self._texts(places))

    def read_as(self, kind: type[T]) -> Iterator[T]:
        """Parse each annotation, and of it what a msgspec struct has fields for.

        Raises:
            DataError: The file is gone, or has changed since it was indexed.
        """
        return map(msgspec.json.Decoder(kind).decode, self._texts(range(len(self))))

    def _texts(self, places: Iterable[int]) -> Iterator[bytes]:
        if self.text is not None:
            for place in places:
                yield self.text[self.starts[place] : self.stops[place]]
            return
        with _opened(self.path, self.stamp) as file:
            for place in places:
                file.seek(int(self.starts[place]))
                yield file.read(int(self.stops[place] - self.starts[place]))

    def chosen(self, places: npt.NDArray[np.int64]) -> "AnnotationList":
        """Return the annotations at these places alone, in their order, heads dropped."""
        return replace(self, starts=self.starts[places], stops=self.stops[places], heads=())


def read_lists(path: Path) -> tuple[dict[str, Any], AnnotationList]:
    """Read a file once: `images` and `categories` unchanged, and the position of each annotation.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no JSON, or no object with a list of annotations; the message says what it is.
    """
    stamp = _stamp(path)
    content = path.read_bytes()
    try:
        lists = msgspec.json.decode(content, type=_Lists)
        heads = [] if lists.annotations is None else _heads(lists.annotations)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _read_anyhow(content, path)
    if lists.annotations is None:
        raise ValueError("no list `annotations`")
    starts, stops = _offsets(content, lists.annotations)
    whole = {name: rows for name in ("images", "categories") if (rows := getattr(lists, name)) is not None}
    return whole, AnnotationList(path, starts, stops, stamp, heads=heads)


def _heads(annotations: Sequence[msgspec.Raw]) -> list[Head]:
    return list(map(msgspec.json.Decoder(Head).decode, annotations))


def _offsets(content: bytes, annotations: Sequence[msgspec.Raw]) -> tuple[Offsets, Offsets]:
    """Return where the texts of annotations begin and end in `content`.

    msgspec does not say where it found a text, so it is searched for; of equal texts any is right. Searching
    for a million takes longer than parsing them, so the gap between the first two is tried for all.
    """
    if not annotations:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    lengths = _lengths(annotations)
    starts = _searched(content, annotations[:2])
    gap = int(starts[-1] - starts[0] - lengths[0]) if len(annotations) > 1 else 0
    starts = starts[0] + np.concatenate([[0], np.cumsum(lengths[:-1] + gap)])
    if not _fits(content, starts, starts + lengths, gap):  # gaps that differ, as people leave them
        starts = _searched(content, annotations)
    return starts, starts + lengths


def _searched(content: bytes, texts: Iterable[msgspec.Raw]) -> Offsets:
    """Return where each text begins, one after the other."""
    starts, stop = [], 0
    for text in texts:
        start = content.find(text, stop)
        stop = start + len(memoryview(text))
        starts.append(start)
    return np.array(starts, np.int64)


def _lengths(texts: Sequence[msgspec.Raw]) -> Offsets:
    return np.array([len(memoryview(text)) for text in texts], np.int64)


def _fits(content: bytes, starts: Offsets, stops: Offsets, gap: int) -> bool:
    """Tell whether there is an object in each place, with the same bytes between all of them."""
    text = np.frombuffer(content, np.uint8)
    if stops[-1] > len(text) or (text[starts] != ord("{")).any() or (text[stops - 1] != ord("}")).any():
        return False
    return all(bool((text[stops[:-1] + i] == text[stops[0] + i]).all()) for i in range(gap))


def _read_anyhow(content: bytes, path: Path) -> tuple[dict[str, Any], AnnotationList]:
    """Read what Python's own reader takes too: other encodings, NaN; the annotations are kept as text."""
    whole = parse_json(content, path)
    if not isinstance(whole, dict):
        raise ValueError(f"a {type(whole).__name__} rather than an object")
    rows = whole.pop("annotations", None)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("no list `annotations`" if rows is None else "`annotations` is no list of objects")
    texts = [json.dumps(_finite(row)).encode() for row in rows]
    lengths = np.array([len(text) for text in texts], np.int64)
    stops = np.cumsum(lengths)
    starts = stops - lengths
    try:
        heads = [msgspec.json.decode(text, type=Head) for text in texts]
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None
    return whole, AnnotationList(path, starts, stops, None, b"".join(texts), heads)


def _decoded(text: bytes) -> dict[str, Any]:
    """Return an annotation, or an empty one if a part that indexing passed over is no JSON."""
    try:
        row: dict[str, Any] = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # of old versions no ValueError
        return {}
    return row


def _finite(value: object) -> object:
    """Return a JSON value with null for what is no number."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@contextmanager
def _opened(path: Path, stamp: tuple[int, int] | None) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if (status.st_size, status.st_mtime_ns) != stamp:
                raise DataError(
                    describe(
                        "The annotations have changed since the folder was opened",
                        where=path,
                        found="a file of another size or time",
                        fix="Run the command again.",
                    )
                )
            yield file
    except OSError as error:
        raise DataError(
            describe("The annotations cannot be read", where=path, found=error.strerror or str(error))
        ) from None
