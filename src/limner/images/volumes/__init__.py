"""Volumes: NIfTI, NRRD, MetaImage, NPZ and DICOM to pictures with geometry, and back.

`KINDS` is the table of contents.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt

from limner.images.headers import ImageHeader
from limner.images.volumes.metaimage import decode_metaimage, read_metaimage_header
from limner.images.volumes.nifti import decode_nifti, read_nifti_header
from limner.images.volumes.npz import decode_npz, read_npz_header
from limner.images.volumes.nrrd import decode_nrrd, read_nrrd_header


class VolumeKind(NamedTuple):
    """Functions that read one kind of volume; both raise `DamagedFileError` and OSError.

    Attributes:
        read_header: Reads the header without the voxels.
        decode: Returns (*spatial, C) in the file's own type.
    """

    read_header: Callable[[Path], ImageHeader]
    decode: Callable[[Path], npt.NDArray[Any]]


_NIFTI = VolumeKind(read_nifti_header, decode_nifti)
_NRRD = VolumeKind(read_nrrd_header, decode_nrrd)
_METAIMAGE = VolumeKind(read_metaimage_header, decode_metaimage)

KINDS = {
    **{".nii": _NIFTI, ".nii.gz": _NIFTI, ".nrrd": _NRRD, ".nhdr": _NRRD},
    **{".mha": _METAIMAGE, ".mhd": _METAIMAGE, ".npz": VolumeKind(read_npz_header, decode_npz)},
}
"""Suffix -> how it is read."""
