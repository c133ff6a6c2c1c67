"""NPZ: arrays saved by `numpy.savez`, of which one is the volume; others may be its spacing or affine.

Spacing and affine are in the order of the array's axes (D, H, W).
"""

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.affine import is_singular, spacing_of
from limner.core.picture import Geometry
from limner.images.headers import DamagedFileError, ImageHeader
from limner.images.volumes.packed_bytes import refuse_impossible_size
from limner.images.volumes.stored_array import MAX_CHANNELS

_SPACING, _AFFINE = "spacing_mm", "affine"


def read_npz_header(path: Path) -> ImageHeader:
    """Read shape and type of the volume without its voxels.

    Raises:
        DamagedFileError: It is damaged, or does not hold exactly one volume.
        OSError: The file cannot be read.
    """
    with _opened(path) as file:
        name, shape, dtype = _volume(file)
        nbytes = math.prod(shape) * dtype.itemsize
        refuse_impossible_size(nbytes, file.getinfo(name).file_size, is_packed=False)
        geometry = _geometry(file)
    channels = (*shape, 1)[3]
    return ImageHeader("NPZ", shape[:3], channels, "float32", geometry=geometry, stored_dtype=dtype.name)


def decode_npz(path: Path) -> npt.NDArray[Any]:
    """Return (D, H, W, C) in the file's own type.

    Raises:
        DamagedFileError: The file is cut off or damaged.
        OSError: It cannot be read.
    """
    with _opened(path) as file:
        array = _read(file, _volume(file)[0])
    array = array.astype(np.uint8) if array.dtype == bool else array
    return array if array.ndim == 4 else array[..., np.newaxis]


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise DamagedFileError(f"the NPZ is cut off or damaged ({error})") from None


def _volume(file: zipfile.ZipFile) -> tuple[str, tuple[int, ...], np.dtype[Any]]:
    """Return name, shape and type of the only array of 3 or 4 axes.

    Raises:
        DamagedFileError: There is none, or several.
    """
    arrays = {name: _described(file, name) for name in file.namelist() if name.endswith(".npy")}
    found = [(name, *both) for name, both in arrays.items() if len(both[0]) in (3, 4) and 0 not in both[0]]
    if len(found) != 1:
        held = ", ".join(f"{name.removesuffix('.npy')} {shape}" for name, (shape, _) in arrays.items())
        fix = "Save image and labels in a file each, as (D, H, W) or (D, H, W, C)."
        raise DamagedFileError(f"an NPZ of the arrays {held or 'none'}; one of 3 or 4 axes is read", fix=fix)
    name, shape, dtype = found[0]
    if dtype.kind not in "buif" or len(shape) == 4 and shape[3] > MAX_CHANNELS:
        raise DamagedFileError(f"the array {name} is {shape} of {dtype}; expected (D, H, W, C) of numbers")
    return name, shape, dtype


def _described(file: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with file.open(name) as data:
        try:
            version = np.lib.format.read_magic(data)
            is_first = version == (1, 0)
            read = np.lib.format.read_array_header_1_0 if is_first else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(data)
        except Exception as error:  # NumPy parses the header as Python text, which fails in many ways
            raise DamagedFileError(f"the NPY header of {name} is damaged ({error})") from None
    return shape, dtype


def _read(file: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    try:
        with file.open(name) as data:
            return np.asarray(np.lib.format.read_array(data, allow_pickle=False))
    except (EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DamagedFileError(f"the NPZ is cut off or damaged ({error})") from None


def _geometry(file: zipfile.ZipFile) -> Geometry:
    if f"{_AFFINE}.npy" in file.namelist():
        affine = _read(file, f"{_AFFINE}.npy").astype(np.float64)
        if affine.shape != (4, 4) or is_singular(affine):
            raise DamagedFileError(f"the array `affine` is no invertible affine: {affine.tolist()}")
        return Geometry(spacing_of(affine), affine)
    if f"{_SPACING}.npy" not in file.namelist():
        return Geometry()
    steps = _read(file, f"{_SPACING}.npy").astype(np.float64).ravel()
    if steps.shape != (3,) or not (np.isfinite(steps) & (steps > 0)).all():
        raise DamagedFileError(f"the array `spacing_mm` is {steps.tolist()}; expected 3 lengths")
    return Geometry(tuple(float(step) for step in steps))
