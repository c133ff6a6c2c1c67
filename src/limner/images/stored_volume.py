"""The files of a volume in the numbers that they store, for conversion without loss."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.picture import Geometry
from limner.images.file_names import is_volume_name
from limner.images.pixels import read_pixels
from limner.images.volumes.dicom import is_dicom_name, read_series


def is_volume(files: Sequence[Path]) -> bool:
    """Tell whether the files of an image are those of a volume, by name or as several DICOM files."""
    return is_volume_name(files[0].name) or is_dicom_name(files[0].name)


def read_stored(files: Sequence[Path]) -> tuple[npt.NDArray[Any], Geometry]:
    """Return (D, H, W, C) in the type of the files, and the position of the voxels.

    Args:
        files: One file, those of the channels, or those of a DICOM series.

    Raises:
        DataError: A file cannot be read.
    """
    if is_dicom_name(files[0].name):
        picture = read_series(files)
        whole = picture.array.astype(np.int16)
        is_exact = np.array_equal(whole, picture.array)
        return whole if is_exact else picture.array, picture.geometry
    read = [read_pixels(path) for path in files]
    return np.concatenate([pixels for pixels, _ in read], axis=-1), read[0][1].geometry
