"""The headers of NIfTI-1 and NIfTI-2: 348 and 540 bytes, in either byte order.

References: nifti1.h and nifti2.h of the NIfTI Data Format Working Group (public domain).
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from limner.core.affine import Affine, is_singular, reversed_axes, spacing_of
from limner.core.picture import Geometry
from limner.images.headers import DamagedFileError
from limner.images.volumes.stored_array import StoredArray

NIFTI1 = np.dtype(
    [
        ("sizeof_hdr", "<i4"),
        ("unused", "V35"),
        ("dim_info", "u1"),
        ("dim", "<i2", 8),
        ("intent_p", "<f4", 3),
        ("intent_code", "<i2"),
        ("datatype", "<i2"),
        ("bitpix", "<i2"),
        ("slice_start", "<i2"),
        ("pixdim", "<f4", 8),
        ("vox_offset", "<f4"),
        ("scl_slope", "<f4"),
        ("scl_inter", "<f4"),
        ("slice_end", "<i2"),
        ("slice_code", "u1"),
        ("xyzt_units", "u1"),
        ("cal_max", "<f4"),
        ("cal_min", "<f4"),
        ("slice_duration", "<f4"),
        ("toffset", "<f4"),
        ("glmax", "<i4"),
        ("glmin", "<i4"),
        ("descrip", "V80"),
        ("aux_file", "V24"),
        ("qform_code", "<i2"),
        ("sform_code", "<i2"),
        ("quatern", "<f4", 3),
        ("qoffset", "<f4", 3),
        ("srow", "<f4", (3, 4)),
        ("intent_name", "V16"),
        ("magic", "V4"),
    ]
)
NIFTI2 = np.dtype(
    [
        ("sizeof_hdr", "<i4"),
        ("magic", "V8"),
        ("datatype", "<i2"),
        ("bitpix", "<i2"),
        ("dim", "<i8", 8),
        ("intent_p", "<f8", 3),
        ("pixdim", "<f8", 8),
        ("vox_offset", "<i8"),
        ("scl_slope", "<f8"),
        ("scl_inter", "<f8"),
        ("cal_max", "<f8"),
        ("cal_min", "<f8"),
        ("slice_duration", "<f8"),
        ("toffset", "<f8"),
        ("slice_start", "<i8"),
        ("slice_end", "<i8"),
        ("descrip", "V80"),
        ("aux_file", "V24"),
        ("qform_code", "<i4"),
        ("sform_code", "<i4"),
        ("quatern", "<f8", 3),
        ("qoffset", "<f8", 3),
        ("srow", "<f8", (3, 4)),
        ("slice_code", "<i4"),
        ("xyzt_units", "<i4"),
        ("intent_code", "<i4"),
        ("intent_name", "V16"),
        ("dim_info", "u1"),
        ("unused", "V15"),
    ]
)
_LAYOUTS = {348: NIFTI1, 540: NIFTI2}
LONGEST_HEADER = NIFTI2.itemsize

CODE_OF_TYPE = {
    **{"uint8": 2, "int16": 4, "int32": 8, "float32": 16, "float64": 64},
    **{"int8": 256, "uint16": 512, "uint32": 768, "int64": 1024, "uint64": 1280},
}
"""NumPy name -> code of the field `datatype`."""

_TYPE_OF_CODE = {code: name for name, code in CODE_OF_TYPE.items()}
_RGB, _RGBA, _COMPLEX, _BITS = 128, 2304, (32, 1792, 2048), 1
_OTHER_TYPES = {_BITS: "single bits", 1536: "128-bit floats", **dict.fromkeys(_COMPLEX, "complex numbers")}
_TO_MILLIMETRES = {1: 1000.0, 3: 0.001}
"""Code of `xyzt_units` for metres and for micrometres -> factor to millimetres."""

_FIRST_OF_A_PAIR = b"ni"
"""Start of the magic of a header whose voxels are in a file of their own."""


@dataclass(frozen=True)
class NiftiHeader:
    """A parsed header.

    Attributes:
        fields: Its fields, in their own byte order.
        size: Bytes of the header: 348 or 540.
    """

    fields: np.void
    size: int

    @property
    def offset(self) -> int:
        """Position of the voxels in the file."""
        return int(self.fields["vox_offset"])

    @property
    def scaling(self) -> tuple[float, float] | None:
        """Slope and intercept of the values, or None if they are as stored."""
        slope, intercept = float(self.fields["scl_slope"]), float(self.fields["scl_inter"])
        if not math.isfinite(slope) or slope == 0 or (slope, intercept) == (1, 0):
            return None
        return slope, intercept if math.isfinite(intercept) else 0.0

    @cached_property
    def stored(self) -> StoredArray:
        """The layout of the voxels; a fourth axis (time), or a fifth (vectors), holds channels.

        Raises:
            DamagedFileError: The header describes something else than a volume or an image.
        """
        count = int(self.fields["dim"][0])
        if not 1 <= count <= 7:
            raise DamagedFileError(f"the header states {count} axes; it is damaged")
        sizes = [int(side) for side in self.fields["dim"][1 : 1 + count]]
        while len(sizes) > 3 and sizes[-1] == 1:
            sizes.pop()
        code = int(self.fields["datatype"])
        if code in (_RGB, _RGBA):
            return StoredArray((3 if code == _RGB else 4, *sizes), np.dtype(np.uint8), channel_axis=0)
        if code not in _TYPE_OF_CODE:
            found = _OTHER_TYPES.get(code, f"numbers of the unknown type {code}")
            raise DamagedFileError(f"the volume holds {found}; limner reads integers and floats")
        if len(sizes) == 5 and sizes[3] == 1:
            del sizes[3]
        is_big = self.fields.dtype["dim"].base.byteorder == ">"
        dtype = np.dtype(_TYPE_OF_CODE[code]).newbyteorder(">" if is_big else "<")
        return StoredArray(tuple(sizes), dtype, channel_axis=3 if len(sizes) == 4 else None)

    @cached_property
    def geometry(self) -> Geometry:
        """Spacing, and the affine by `sform`, else by `qform`; without either, the position is unknown.

        Raises:
            DamagedFileError: The affine is singular.
        """
        unit = _TO_MILLIMETRES.get(int(self.fields["xyzt_units"]) & 7, 1.0)
        steps = [abs(float(step)) * unit or 1.0 for step in self.fields["pixdim"][1:4]]
        axes = len(self.stored.shape)
        if axes == 2:
            return Geometry(tuple(reversed(steps[:2])))
        found = self._affine()
        if found is None:
            return Geometry(tuple(reversed(steps)))
        affine = found.copy()
        affine[:3] *= unit
        if is_singular(affine):
            raise DamagedFileError(
                f"the affine in its header is singular: rows {np.round(affine[:3], 4).tolist()}",
                fix="Correct `sform` and `qform` in the header, from the image that the file was made of.",
            )
        affine = reversed_axes(affine)
        return Geometry(spacing_of(affine), affine)

    def _affine(self) -> Affine | None:
        """Return the affine for the axes (x, y, z) in the units of the file, or None if it has none."""
        affine = np.eye(4)
        if int(self.fields["sform_code"]) > 0:
            affine[:3] = self.fields["srow"]
            return affine
        if int(self.fields["qform_code"]) <= 0:
            return None
        steps = np.abs(np.asarray(self.fields["pixdim"][1:4], np.float64))
        # By definition, the sign of pixdim[0] turns the third axis.
        steps[2] *= -1 if float(self.fields["pixdim"][0]) < 0 else 1
        affine[:3, :3] = rotation(*(float(part) for part in self.fields["quatern"])) * steps
        affine[:3, 3] = self.fields["qoffset"]
        return affine


def parse_header(data: bytes) -> NiftiHeader:
    """Parse the first bytes of a NIfTI file, unpacked.

    Raises:
        DamagedFileError: It is cut off, no NIfTI, or the header of a pair of files.
    """
    little, big = int.from_bytes(data[:4], "little"), int.from_bytes(data[:4], "big")
    size = little if little in _LAYOUTS else big
    if size not in _LAYOUTS:
        found = f"beginning with {data[:8].hex(' ')}" if len(data) >= 4 else f"{len(data)} bytes"
        raise DamagedFileError(f"no NIfTI header ({found})")
    if len(data) < size:
        raise DamagedFileError(f"the file ends inside the NIfTI header, after {len(data)} bytes")
    layout = _LAYOUTS[size].newbyteorder("<" if size == little else ">")
    fields: Any = np.frombuffer(data, layout, 1)[0]
    magic = bytes(fields["magic"])
    if magic[:1] != b"n":
        fix = "Convert it to NIfTI; the ANALYZE format does not say which side is left."
        raise DamagedFileError("a header of the ANALYZE format, without the mark of NIfTI", fix=fix)
    if magic[:2] == _FIRST_OF_A_PAIR:
        fix = "Save header and voxels in one file (.nii or .nii.gz)."
        raise DamagedFileError("the header of a pair .hdr and .img", fix=fix)
    return NiftiHeader(fields, size)


def rotation(b: float, c: float, d: float) -> Affine:
    """Return the (3, 3) rotation of a unit quaternion (a, b, c, d) with a >= 0."""
    a = math.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
