"""Write volumes: the file type by suffix, the position from a geometry or another file of that type."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.picture import PLAIN, Geometry
from limner.images.file_names import image_suffix
from limner.images.headers import DamagedFileError
from limner.images.volumes.metaimage import metaimage_bytes
from limner.images.volumes.nifti import nifti_bytes
from limner.images.volumes.nrrd import nrrd_bytes
from limner.storage.whole_files import write_whole

_FAMILIES = ({".nii", ".nii.gz"}, {".nrrd", ".nhdr"}, {".mha", ".mhd"}, {".npz"})
"""Suffixes of files whose headers can be kept for each other."""

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".npz")
"""Suffixes of volumes that are written."""

_WRITTEN_AS = {".nhdr": ".nrrd", ".mhd": ".mha"}
"""Suffix of two files -> the suffix of one file with the same content."""

FALLBACK_SUFFIX = ".nii.gz"


def written_suffix(path: Path) -> str:
    """Return the suffix of a volume that is written for an image: its own, or NIfTI's for DICOM."""
    suffix = image_suffix(path.name)
    suffix = _WRITTEN_AS.get(suffix, suffix)
    return suffix if any(suffix in family for family in _FAMILIES) else FALLBACK_SUFFIX


def write_volume(
    path: Path, pixels: npt.NDArray[Any], geometry: Geometry = PLAIN, *, like: Path | None = None
) -> None:
    """Write a volume.

    Args:
        path: The file; its suffix is one of `written_suffix`.
        pixels: (D, H, W, C).
        geometry: Position of the voxels.
        like: A file of the same grid. If it is of the same kind, its header is kept; else `geometry` counts.

    Raises:
        WriteError: The file cannot be written.
    """
    suffix = image_suffix(path.name)
    kept = like if like is not None and _are_of_one_kind(suffix, like) else None
    try:
        data = _encoded(suffix, pixels, geometry, kept)
    except (DamagedFileError, OSError):  # the other file is gone or was replaced
        data = _encoded(suffix, pixels, geometry, None)
    write_whole(path, data)


def _are_of_one_kind(suffix: str, like: Path) -> bool:
    other = image_suffix(like.name)
    return any(suffix in family and other in family for family in _FAMILIES)


def _encoded(suffix: str, pixels: npt.NDArray[Any], geometry: Geometry, like: Path | None) -> bytes:
    encoders: dict[str, Callable[[], bytes]] = {
        ".nii": lambda: nifti_bytes(pixels, geometry, like=like, packed=False),
        ".nii.gz": lambda: nifti_bytes(pixels, geometry, like=like, packed=True),
        ".nrrd": lambda: nrrd_bytes(pixels, geometry, like=like),
        ".mha": lambda: metaimage_bytes(pixels, geometry, like=like),
        ".npz": lambda: _npz_bytes(pixels, geometry),
    }
    return encoders[suffix]()


def _npz_bytes(pixels: npt.NDArray[Any], geometry: Geometry) -> bytes:
    arrays = {"volume": pixels[..., 0] if pixels.shape[-1] == 1 else pixels}
    if geometry.affine is not None:
        arrays["affine"] = geometry.affine
    elif geometry.spacing_mm is not None:
        arrays["spacing_mm"] = np.array(geometry.spacing_mm)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()
