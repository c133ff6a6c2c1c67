"""Suffixes of image files and volumes, of which one, ``.nii.gz``, has two dots."""

import os
from pathlib import PurePath
from typing import TypeVar

PathT = TypeVar("PathT", bound=PurePath)

VOLUME_SUFFIXES = frozenset({".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".npz"})
"""Lower-case suffixes of files that hold a volume."""

JPEG_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})
"""Lower-case suffixes of JPEGs."""

_OTHER_IMAGE_SUFFIXES = frozenset(
    {
        ".png",
        ".tif",
        ".tiff",
        ".bmp",
        ".webp",
        ".gif",
        ".npy",
        ".ppm",
        ".pgm",
        ".avif",
        ".heic",
        ".heif",
        ".jp2",
        ".j2k",
        ".j2c",
        ".jpf",
        ".jpx",
    }
)

IMAGE_SUFFIXES = VOLUME_SUFFIXES | JPEG_SUFFIXES | _OTHER_IMAGE_SUFFIXES
"""Lower-case suffixes of files that are listed as images or masks."""

_PACKED = ".gz"


def image_suffix(name: str) -> str:
    """Return the suffix of a file's name in lower case: ``.nii.gz`` as a whole, else the last one."""
    bare, suffix = os.path.splitext(name)  # noqa: PTH122 - much faster than a path, for 100,000 files
    suffix = suffix.lower()
    if suffix == _PACKED and bare[-4:].lower() == ".nii":
        return ".nii.gz"
    return suffix


def is_image_name(name: str) -> bool:
    """Tell whether a file's name ends like that of an image or a volume."""
    return image_suffix(name) in IMAGE_SUFFIXES


def is_jpeg_name(name: str) -> bool:
    """Tell whether a file's name ends like that of a JPEG."""
    return image_suffix(name) in JPEG_SUFFIXES


def is_volume_name(name: str) -> bool:
    """Tell whether a file's name ends like that of a volume."""
    return image_suffix(name) in VOLUME_SUFFIXES


def image_stem(name: str) -> str:
    """Return a file's name without its suffix: ``case_1`` for ``case_1.nii.gz``."""
    suffix = image_suffix(name)
    return name[: len(name) - len(suffix)] if suffix and len(suffix) < len(name) else name


def without_suffix(path: PathT) -> PathT:
    """Return a path without the suffix of its name: ``images/case_1`` for ``images/case_1.nii.gz``."""
    return path.with_name(image_stem(path.name))
