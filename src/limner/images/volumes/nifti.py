"""NIfTI: `.nii` and `.nii.gz`, read and written with the header of another file kept byte for byte."""

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.affine import reversed_axes
from limner.core.picture import Geometry
from limner.images.headers import ImageHeader
from limner.images.volumes.nifti_header import (
    CODE_OF_TYPE,
    LONGEST_HEADER,
    NIFTI1,
    NiftiHeader,
    parse_header,
)
from limner.images.volumes.packed_bytes import (
    GZIP_MAGIC,
    first_bytes,
    refuse_impossible_size,
    whole_file,
)
from limner.images.volumes.scaling import scaled
from limner.images.volumes.stored_array import stored_bytes

_ALIGNED = 2
"""Code of `sform`: the coordinates of some scan, which need not be this one."""

_MILLIMETRES_AND_SECONDS = 10
_COMPRESSION = 1
"""Level of gzip: label maps shrink well at any level, and higher ones take several times as long."""


def read_nifti_header(path: Path) -> ImageHeader:
    """Read a header without the voxels.

    Raises:
        DamagedFileError: It is damaged, or claims more voxels than the file can hold.
        OSError: The file cannot be read.
    """
    header, is_packed = _header(path)
    refuse_impossible_size(header.stored.nbytes, path.stat().st_size, is_packed=is_packed)
    stored = header.stored
    name = "float32" if header.scaling else stored.dtype.name
    return ImageHeader(
        "NIfTI", stored.shape, stored.channels, "float32", geometry=header.geometry, stored_dtype=name
    )


def decode_nifti(path: Path) -> npt.NDArray[Any]:
    """Return (*spatial, C) in the file's own type, or float32 if the header states a slope.

    Raises:
        DamagedFileError: The file is cut off or damaged.
        OSError: It cannot be read.
    """
    header, _ = _header(path)
    end = header.offset + header.stored.nbytes
    voxels = header.stored.array(memoryview(whole_file(path, end))[header.offset :])
    return scaled(voxels, header.scaling)


def nifti_bytes(pixels: npt.NDArray[Any], geometry: Geometry, *, like: Path | None, packed: bool) -> bytes:
    """Return the content of a NIfTI file.

    Args:
        pixels: (D, H, W, C).
        geometry: Position of the voxels; not used with `like`.
        like: A NIfTI file of the same grid, whose header and extensions are kept, apart from what
            describes the values.
        packed: Whether to pack it with gzip.
    """
    if like is None:
        fields, between = _new_fields(geometry), b"\0" * 4
    else:
        template, _ = _header(like)
        start = first_bytes(like, template.offset)
        fields, between = template.fields.copy(), start[template.size :]
    _describe_values(fields, pixels)
    data = fields.tobytes() + between
    voxels = stored_bytes(pixels, channels_fastest=False)
    if fields.dtype["dim"].base.byteorder == ">":
        voxels = np.frombuffer(voxels, pixels.dtype.newbyteorder("<")).byteswap().tobytes()
    if not packed:
        return data + voxels
    out = io.BytesIO()
    # Without a time of packing, the same volume gives the same bytes.
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=_COMPRESSION, mtime=0) as file:
        file.write(data + voxels)
    return out.getvalue()


def _header(path: Path) -> tuple[NiftiHeader, bool]:
    with path.open("rb") as file:
        is_packed = file.read(2) == GZIP_MAGIC
    return parse_header(first_bytes(path, LONGEST_HEADER)), is_packed


def _describe_values(fields: np.void, pixels: npt.NDArray[Any]) -> None:
    """Set the fields for the type and number of values; what describes the old values is reset."""
    *spatial, channels = pixels.shape
    sizes = [*reversed(spatial), *([channels] if channels > 1 else [])]
    fields["dim"] = [len(sizes), *sizes, *([1] * (7 - len(sizes)))]
    fields["datatype"], fields["bitpix"] = CODE_OF_TYPE[pixels.dtype.name], 8 * pixels.dtype.itemsize
    fields["scl_slope"], fields["scl_inter"] = 1, 0
    fields["cal_min"] = fields["cal_max"] = 0
    fields["intent_code"], fields["intent_p"] = 0, 0
    fields["intent_name"] = b"\0" * 16


def _new_fields(geometry: Geometry) -> np.void:
    """Return the fields of NIfTI-1 for a geometry, as `sform` alone: it can hold any affine."""
    fields: Any = np.zeros(1, NIFTI1)[0]
    fields["sizeof_hdr"], fields["magic"], fields["vox_offset"] = NIFTI1.itemsize, b"n+1\0", 352
    fields["pixdim"] = 1
    if geometry.spacing_mm is not None:
        steps = [*reversed(geometry.spacing_mm)]
        fields["pixdim"][1 : 1 + len(steps)] = steps
        fields["xyzt_units"] = _MILLIMETRES_AND_SECONDS
    if geometry.affine is not None:
        fields["sform_code"] = _ALIGNED
        fields["srow"] = reversed_axes(geometry.affine)[:3]
    found: np.void = fields
    return found
