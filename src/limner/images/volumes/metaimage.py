"""MetaImage: `.mha`, and `.mhd` with the voxels in a `.raw` or `.zraw` beside it.

Reference: https://itk.org/Wiki/ITK/MetaIO/Documentation.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.affine import (
    directions_of,
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

_TYPE_OF = {
    **{"MET_CHAR": "int8", "MET_UCHAR": "uint8", "MET_SHORT": "int16", "MET_USHORT": "uint16"},
    **{"MET_INT": "int32", "MET_UINT": "uint32", "MET_LONG": "int32", "MET_ULONG": "uint32"},
    **{"MET_LONG_LONG": "int64", "MET_ULONG_LONG": "uint64", "MET_FLOAT": "float32", "MET_DOUBLE": "float64"},
}
_NAME_OF = {dtype: name for name, dtype in reversed(_TYPE_OF.items())}
_SPACINGS, _ORIGINS = ("ElementSpacing", "ElementSize"), ("Offset", "Origin", "Position")
_MATRICES = ("TransformMatrix", "Rotation", "Orientation")
_BIG_ENDIAN = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
_OF_THE_GRID = (*_MATRICES, *_ORIGINS, "CenterOfRotation", "AnatomicalOrientation", *_SPACINGS)
_LOCAL = "LOCAL"
_COMPRESSION = 1


@dataclass(frozen=True)
class MetaHeader:
    """A parsed header.

    Attributes:
        fields: Key -> its text.
        size: Bytes of the header.
    """

    fields: Mapping[str, str]
    size: int

    def first(self, keys: tuple[str, ...]) -> str:
        """Return the text of the first key that is there, or an empty one."""
        return next((self.fields[key] for key in keys if key in self.fields), "")

    def is_true(self, *keys: str) -> bool:
        """Tell whether a key says true."""
        return self.first(keys).casefold() in ("true", "1", "yes")

    @cached_property
    def stored(self) -> StoredArray:
        """The layout of the voxels; channels are side by side, or the fourth axis.

        Raises:
            DamagedFileError: The header describes something else than a volume or an image.
        """
        sizes = whole_numbers(self.fields["DimSize"], key="DimSize")
        name = self.fields["ElementType"].upper().removesuffix("_ARRAY")
        if name not in _TYPE_OF:
            raise DamagedFileError(f"numbers of type {name}; limner reads integers and floats")
        dtype = np.dtype(_TYPE_OF[name]).newbyteorder(">" if self.is_true(*_BIG_ENDIAN) else "<")
        channels = whole_numbers(self.fields.get("ElementNumberOfChannels", "1"), key="channels")[0]
        if channels > 1:
            return StoredArray((channels, *sizes), dtype, channel_axis=0)
        return StoredArray(tuple(sizes), dtype, channel_axis=3 if len(sizes) == 4 else None)

    @cached_property
    def geometry(self) -> Geometry:
        """Spacing and affine; a header without them means 1 mm at the origin.

        Raises:
            DamagedFileError: The affine is singular, or of another number of axes.
        """
        count = len(whole_numbers(self.fields["DimSize"], key="DimSize"))
        axes = len(self.stored.shape)
        steps = numbers(self.first(_SPACINGS), key="ElementSpacing") or [1.0] * count
        if axes == 2:
            return Geometry(tuple(reversed(steps[:2])))
        matrix = numbers(self.first(_MATRICES), key="TransformMatrix") or np.eye(count).ravel().tolist()
        origin = numbers(self.first(_ORIGINS), key="Offset") or [0.0] * count
        if (len(steps), len(matrix), len(origin)) != (count, count * count, count):
            raise DamagedFileError("spacing, matrix and offset in the header are not of its number of axes")
        affine = np.eye(4)
        # Each row of the matrix is the direction of one axis.
        affine[:3, :3] = np.reshape(matrix, (count, count))[:3, :3].T * steps[:3]
        affine[:3, 3] = origin[:3]
        affine = reversed_axes(mirrored_left_right_and_front_back(affine))
        if is_singular(affine):
            found = f"the affine in its header is singular: matrix {matrix}, spacing {steps}"
            raise DamagedFileError(found, fix="Correct TransformMatrix and ElementSpacing in the header.")
        return Geometry(spacing_of(affine), affine)


def read_metaimage_header(path: Path) -> ImageHeader:
    """Read a header without the voxels.

    Raises:
        DamagedFileError: It is damaged, or claims more voxels than the file can hold.
        OSError: The file cannot be read.
    """
    header = _header(path)
    stored, is_packed = header.stored, header.is_true("CompressedData")
    packed_bytes.refuse_impossible_size(
        stored.nbytes, _place(header, path).stat().st_size, is_packed=is_packed
    )
    return stored.image_header("MetaImage", header.geometry)


def decode_metaimage(path: Path) -> npt.NDArray[Any]:
    """Return (*spatial, C) in the file's own type.

    Raises:
        DamagedFileError: The file is cut off or damaged.
        OSError: It cannot be read.
    """
    header = _header(path)
    stored, place = header.stored, _place(header, path)
    data = memoryview(place.read_bytes())
    if place == path:
        data = data[header.size :]
    if header.is_true("CompressedData"):
        return stored.array(packed_bytes.unpacked_zlib(bytes(data), stored.nbytes))
    skip = int(header.fields.get("HeaderSize", "0"))
    return stored.array(data[skip if skip >= 0 else len(data) - stored.nbytes :])


def metaimage_bytes(pixels: npt.NDArray[Any], geometry: Geometry, *, like: Path | None) -> bytes:
    """Return the content of a `.mha` file, packed.

    Args:
        pixels: (D, H, W, C).
        geometry: Position of the voxels; not used with `like`.
        like: A MetaImage of the same grid; the text of its fields of position is kept.
    """
    *spatial, channels = pixels.shape
    fields = _new_fields(geometry)
    if like is not None and (kept := _header(like)).fields.get("NDims") == "3":
        fields = {key: kept.fields[key] for key in _OF_THE_GRID if key in kept.fields}
    packed = zlib.compress(stored_bytes(pixels, channels_fastest=True), _COMPRESSION)
    several = {"ElementNumberOfChannels": channels} if channels > 1 else {}
    lines = {
        **{"ObjectType": "Image", "NDims": len(spatial), "BinaryData": "True"},
        **{"BinaryDataByteOrderMSB": "False", "CompressedData": "True", "CompressedDataSize": len(packed)},
        **fields,
        "DimSize": " ".join(map(str, reversed(spatial))),
        **several,
        **{"ElementType": _NAME_OF[pixels.dtype.name], "ElementDataFile": _LOCAL},
    }
    return "".join(f"{key} = {value}\n" for key, value in lines.items()).encode() + packed


def _header(path: Path) -> MetaHeader:
    with path.open("rb") as file:
        start = file.read(LONGEST)
    if not start:
        raise DamagedFileError("an empty file (0 bytes)")
    fields: dict[str, str] = {}
    position = 0
    while position < len(start):
        end = start.find(b"\n", position)
        end = len(start) if end < 0 else end
        key, equals, value = start[position:end].decode("latin-1").partition("=")
        if not equals:
            break
        fields[key.strip()] = value.strip()
        position = end + 1
        if key.strip() == "ElementDataFile":
            break
    refuse_missing([*fields], ("DimSize", "ElementType", "ElementDataFile"), "MetaImage")
    return MetaHeader(fields, position)


def _place(header: MetaHeader, path: Path) -> Path:
    """Return the file that holds the voxels."""
    name = header.fields["ElementDataFile"]
    return path if name.upper() == _LOCAL else beside(path, name)


def _new_fields(geometry: Geometry) -> dict[str, str]:
    if geometry.affine is None:
        steps = geometry.spacing_mm
        return {} if steps is None else {"ElementSpacing": _joined(reversed(steps))}
    affine = mirrored_left_right_and_front_back(reversed_axes(geometry.affine))
    return {
        "TransformMatrix": _joined(directions_of(affine).T.ravel()),
        "Offset": _joined(affine[:3, 3]),
        "CenterOfRotation": "0 0 0",
        "ElementSpacing": _joined(spacing_of(affine)),
    }


def _joined(values: Any) -> str:  # noqa: ANN401 - any iterable of numbers
    return " ".join(repr(float(value)) for value in values)
