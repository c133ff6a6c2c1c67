"""NRRD: `.nrrd`, and `.nhdr` with the voxels beside it.

Reference: "Definition of NRRD File Format" of Teem, https://teem.sourceforge.net/nrrd/format.html.
"""

import gzip
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.affine import (
    Affine,
    is_singular,
    mirrored_left_right_and_front_back,
    reversed_axes,
    spacing_of,
)
from limner.core.picture import Geometry
from limner.images.headers import DamagedFileError, ImageHeader
from limner.images.volumes import packed_bytes
from limner.images.volumes.stored_array import StoredArray, stored_bytes
from limner.images.volumes.text_header import (
    LONGEST,
    beside,
    numbers,
    refuse_missing,
    whole_numbers,
)

_TYPES = {
    "int8": ("signed char", "int8", "int8_t"),
    "uint8": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "int16": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "uint16": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "int32": ("int", "signed int", "int32", "int32_t"),
    "uint32": ("uint", "unsigned int", "uint32", "uint32_t"),
    "int64": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "uint64": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "float32": ("float",),
    "float64": ("double",),
}
_TYPE_OF = {name: dtype for dtype, names in _TYPES.items() for name in names}
_WRITTEN_TYPE = {"float32": "float", "float64": "double"}
_GZIP, _BZIP2, _TEXT = ("gz", "gzip"), ("bz2", "bzip2"), ("txt", "text", "ascii")
_SIGNS = {"left-posterior": (-1, -1), "lp": (-1, -1), "left-anterior": (-1, 1), "la": (-1, 1)}
"""Start of `space` -> signs that turn its x and y into RAS coordinates."""

_OF_THE_GRID = ("space", "space dimension", "space directions", "space origin", "spacings", "space units")
_COMPRESSION = 1
_SEGMENT = re.compile(r"Segment(\d{1,6})_LabelValue", re.ASCII)
_END = re.compile(rb"\n\n|\r\n\r\n")


@dataclass(frozen=True)
class NrrdHeader:
    """A parsed header.

    Attributes:
        fields: Field in lower case -> its text.
        size: Bytes of the header with the empty line that ends it.
        pairs: Key -> value of the lines ``key:=value``, in which programs write what NRRD does not define.
    """

    fields: Mapping[str, str]
    size: int
    pairs: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def stored(self) -> StoredArray:
        """The layout of the voxels; an axis without direction holds channels.

        Raises:
            DamagedFileError: The header describes something else than a volume or an image.
        """
        sizes = whole_numbers(self.fields["sizes"], key="sizes")
        name = self.fields["type"].casefold()
        if name not in _TYPE_OF:
            raise DamagedFileError(f"numbers of type {name!r}; limner reads integers and floats")
        is_big = self.fields.get("endian", "little").casefold() == "big"
        dtype = np.dtype(_TYPE_OF[name]).newbyteorder(">" if is_big else "<")
        return StoredArray(tuple(sizes), dtype, self._channel_axis(len(sizes)))

    def _channel_axis(self, axes: int) -> int | None:
        directions = self._directions()
        if directions and None in directions:
            return directions.index(None)
        kinds = self.fields.get("kinds", "").casefold().split()
        spatial = ("domain", "space", "time", "???", "none", "stub")
        listed = [axis for axis, kind in enumerate(kinds) if kind not in spatial]
        if axes > 2 and listed:
            return listed[0]
        return axes - 1 if axes == 4 else None

    def _directions(self) -> list[list[float] | None]:
        """Return the direction of each axis of the file, None for an axis without one; empty if none has."""
        text = self.fields.get("space directions", "")
        words = text.replace("none", "(none)").replace(") (", ")|(").replace(")(", ")|(").split("|")
        if not text:
            return []
        return [None if "none" in word else numbers(word, key="space directions") for word in words]

    @property
    def segment_names(self) -> dict[int, str]:
        """Value -> name of the segments that 3D Slicer lists in its ``.seg.nrrd``."""
        numbered = (
            (found[1], value) for key, value in self.pairs.items() if (found := _SEGMENT.fullmatch(key))
        )
        named = ((value, self.pairs.get(f"Segment{number}_Name", "")) for number, value in numbered)
        return {int(value): name for value, name in named if name and value.isdecimal()}

    @cached_property
    def geometry(self) -> Geometry:
        """Spacing and affine; unknown if the header has neither directions nor spacings.

        Raises:
            DamagedFileError: The affine is singular, or of another number of axes.
        """
        axes = len(self.stored.shape)
        directions = [d for d in self._directions() if d is not None]
        if not directions:
            steps = numbers(self.fields.get("spacings", ""), key="spacings")
            spatial = [s for axis, s in enumerate(steps) if axis != self.stored.channel_axis]
            known = len(spatial) == axes and all(math.isfinite(s) and s > 0 for s in spatial)
            return Geometry(tuple(reversed(spatial))) if known else Geometry()
        if axes != 3 or len(directions) != 3 or any(len(d) != 3 for d in directions):
            return Geometry()
        affine = np.eye(4)
        affine[:3, :3] = np.transpose(directions)
        if origin := numbers(self.fields.get("space origin", ""), key="space origin"):
            affine[:3, 3] = origin
        affine = reversed_axes(self._in_ras(affine))
        if is_singular(affine):
            fix = "Correct `space directions` in the header."
            raise DamagedFileError(
                f"the affine in its header is singular: {self.fields['space directions']}", fix=fix
            )
        return Geometry(spacing_of(affine), affine)

    def _in_ras(self, affine: Affine) -> Affine:
        space = self.fields.get("space", "").casefold()
        for start, (x, y) in _SIGNS.items():
            if space.startswith(start):
                return np.asarray(np.array([x, y, 1, 1])[:, np.newaxis] * affine)
        return affine


def read_nrrd_header(path: Path) -> ImageHeader:
    """Read a header without the voxels.

    Raises:
        DamagedFileError: It is damaged, or claims more voxels than the file can hold.
        OSError: The file cannot be read.
    """
    header = _header(path)
    stored, place = header.stored, _place(header, path)
    encoding = header.fields["encoding"].casefold()
    packed_bytes.refuse_impossible_size(
        stored.nbytes, place.stat().st_size, is_packed=encoding not in ("raw", *_TEXT)
    )
    names = tuple(header.segment_names.items())
    return replace(stored.image_header("NRRD", header.geometry), segment_names=names)


def decode_nrrd(path: Path) -> npt.NDArray[Any]:
    """Return (*spatial, C) in the file's own type.

    Raises:
        DamagedFileError: The file is cut off or damaged.
        OSError: It cannot be read.
    """
    header = _header(path)
    stored, place = header.stored, _place(header, path)
    data = place.read_bytes()
    data = data[header.size :] if place == path else data
    encoding = header.fields["encoding"].casefold()
    for _ in range(int(header.fields.get("line skip", header.fields.get("lineskip", "0")))):
        data = data.partition(b"\n")[2]
    if encoding in _TEXT:
        values = np.array(data.split(), dtype=np.float64).astype(stored.dtype)
        return stored.array(values.tobytes())
    skip = int(header.fields.get("byte skip", header.fields.get("byteskip", "0")))
    if encoding == "raw":
        return stored.array(memoryview(data)[skip if skip >= 0 else len(data) - stored.nbytes :])
    if encoding in _GZIP:
        return stored.array(packed_bytes.unpacked_gzip(data, stored.nbytes + skip)[skip:])
    if encoding in _BZIP2:
        return stored.array(packed_bytes.unpacked_bzip2(data, stored.nbytes + skip)[skip:])
    raise DamagedFileError(f"the encoding {encoding!r}; limner reads raw, gzip, bzip2 and text")


def nrrd_bytes(pixels: npt.NDArray[Any], geometry: Geometry, *, like: Path | None) -> bytes:
    """Return the content of a NRRD file, packed with gzip.

    Args:
        pixels: (D, H, W, C).
        geometry: Position of the voxels; not used with `like`.
        like: A NRRD file of the same grid; the text of its fields of position is kept.
    """
    *spatial, channels = pixels.shape
    fields = _kept_fields(like) if like is not None else _new_fields(geometry)
    sizes = " ".join(map(str, [*reversed(spatial), *([channels] if channels > 1 else [])]))
    if channels > 1 and "space directions" in fields:
        fields["space directions"] += " none"
    name = pixels.dtype.name
    lines = [
        "NRRD0004",
        f"type: {_WRITTEN_TYPE.get(name, name)}",
        f"dimension: {len(spatial) + (channels > 1)}",
        *(f"{key}: {value}" for key, value in fields.items() if key in ("space", "space dimension")),
        f"sizes: {sizes}",
        *(f"{key}: {value}" for key, value in fields.items() if key not in ("space", "space dimension")),
        "endian: little",
        "encoding: gzip",
    ]
    head = "\n".join(lines) + "\n\n"
    packed = gzip.compress(stored_bytes(pixels, channels_fastest=False), _COMPRESSION, mtime=0)
    return head.encode() + packed


def _header(path: Path) -> NrrdHeader:
    with path.open("rb") as file:
        start = file.read(LONGEST)
    if not start.startswith(b"NRRD0"):
        found = "an empty file (0 bytes)" if not start else f"no NRRD (beginning with {start[:8].hex(' ')})"
        raise DamagedFileError(found)
    end = _END.search(start)
    size = len(start) if end is None else end.end()
    fields, pairs = dict[str, str](), dict[str, str]()
    for line in start[:size].decode("utf-8", "replace").splitlines()[1:]:
        key, colon, value = line.partition(": ")
        if colon and not line.startswith("#") and ":=" not in key:
            fields[key.strip().casefold()] = value.strip()
        elif not line.startswith("#") and (pair := line.partition(":="))[1]:
            pairs[pair[0].strip()] = pair[2].strip()
    refuse_missing([*fields], ("type", "sizes", "encoding"), "NRRD")
    return NrrdHeader(fields, size, pairs)


def _place(header: NrrdHeader, path: Path) -> Path:
    """Return the file that holds the voxels."""
    name = header.fields.get("data file", header.fields.get("datafile"))
    return path if name is None else beside(path, name)


def _kept_fields(like: Path) -> dict[str, str]:
    """Return the fields of position of a file, without those of an axis of channels."""
    header = _header(like)
    kept = {key: header.fields[key] for key in _OF_THE_GRID if key in header.fields}
    axis = header.stored.channel_axis
    if axis is not None and "spacings" in kept:
        steps = kept["spacings"].split()
        kept["spacings"] = " ".join(step for place, step in enumerate(steps) if place != axis)
    if "space directions" in kept:
        kept["space directions"] = " ".join(w for w in _vectors(kept["space directions"]) if w != "none")
    return kept


def _vectors(text: str) -> list[str]:
    """Split ``(1,0,0) none (0,1,0)`` into its words; blanks may follow commas."""
    return text.replace(", ", ",").replace(")(", ") (").split()


def _new_fields(geometry: Geometry) -> dict[str, str]:
    if geometry.affine is None:
        steps = geometry.spacing_mm
        return {} if steps is None else {"spacings": " ".join(repr(step) for step in reversed(steps))}
    affine = mirrored_left_right_and_front_back(reversed_axes(geometry.affine))
    columns = [",".join(repr(float(part)) for part in affine[:3, axis]) for axis in range(4)]
    return {
        "space": "left-posterior-superior",
        "space directions": " ".join(f"({column})" for column in columns[:3]),
        "space origin": f"({columns[3]})",
    }
