"""The segments of COCO's panoptic JSON: three numbers each, stored while the file is indexed."""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from limner.formats.coco.coco_json import Id, plain_id
from limner.formats.problems import Problems
from limner.storage.json_files import parse_json

MAX_BITS = 63
"""Bits of a segment's number; 24 fit into a PNG."""

_NO_PLACE = (-1, -1)
"""The place of an image without annotation."""


class SegmentInfo(msgspec.Struct, gc=False):
    """The fields of a segment that are read; a million segments are read faster without the rest."""

    id: Any = None
    category_id: Any = None
    iscrowd: Any = None


class PanopticAnnotation(msgspec.Struct, gc=False):
    """The annotation of one image."""

    image_id: Any = None
    file_name: Any = None
    segments_info: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"null"))

    @property
    def segments(self) -> list[SegmentInfo]:
        """The segments that its list holds; anything but objects is skipped."""
        try:
            return _SEGMENTS.decode(self.segments_info)
        except (msgspec.ValidationError, RecursionError):
            pass
        try:
            rows = parse_json(bytes(self.segments_info))
        except ValueError:
            rows = None
        objects = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        return [SegmentInfo(row.get("id"), row.get("category_id"), row.get("iscrowd")) for row in objects]


_SEGMENTS = msgspec.json.Decoder(list[SegmentInfo])


class SegmentTable:
    """The segments of all images."""

    def __init__(self) -> None:
        # Number in the PNG, mask value and whether it is a crowd, of one segment after another; and an
        # image's entry -> its first and last place there.
        self._flat = array("q")
        self._places: dict[str, tuple[int, int]] = {}

    def __contains__(self, entry: object) -> bool:
        return entry in self._places

    def rows(self, entry: str) -> list[list[int]]:
        """Return number, mask value and whether it is a crowd, of each segment of an image."""
        first, last = self._places[entry]
        rows: list[list[int]] = np.reshape(self._flat[3 * first : 3 * last], (-1, 3)).tolist()
        return rows

    def add(
        self,
        entry: str,
        segments: list[SegmentInfo],
        values: Mapping[Id, int],
        where: str,
        problems: Problems,
    ) -> None:
        """Add the segments of one image.

        Args:
            entry: The image.
            segments: The segments in the JSON.
            values: Category -> mask value.
            where: File and annotation.
            problems: Takes what is wrong with them.
        """
        seen: set[int] = set()
        rows: list[int] = []
        for info in segments:
            number, category = plain_id(info.id), plain_id(info.category_id)
            if category is None or category not in values:
                found = f"category id {category}, which `categories` does not list"
                problems.add("category-unknown", f"{where}, segment {number}", found)
            elif not isinstance(number, int) or number.bit_length() > MAX_BITS:
                problems.add("annotation-malformed", f"{where}, segment {number}", "no usable `id`")
            elif number in seen:
                found = "duplicate segment id"
                problems.add("annotation-listed-twice", f"{where}, segment {number}", found)
            else:
                seen.add(number)
                rows += (number, values[category], bool(info.iscrowd))
        first = len(self._flat) // 3
        self._flat.extend(rows)
        self._places[entry] = first, first + len(seen)

    def cache_state(self, entries: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
        """Return the table as arrays, the places in the order of `entries`."""
        places = [self._places.get(entry, _NO_PLACE) for entry in entries]
        return {"segments": np.array(self._flat, np.int64), "places": np.array(places, np.int64)}

    @classmethod
    def restored(cls, entries: Sequence[str], state: Mapping[str, npt.NDArray[Any]]) -> "SegmentTable":
        """Return the table from its `cache_state`.

        Raises:
            KeyError: An array is missing.
            ValueError: There are more or fewer places than entries.
        """
        table = cls()
        table._flat.frombytes(state["segments"].astype(np.int64, copy=False).tobytes())
        places = zip(entries, map(tuple, state["places"].tolist()), strict=True)
        table._places = {entry: place for entry, place in places if place != _NO_PLACE}
        return table
