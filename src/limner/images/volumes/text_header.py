"""Headers of lines of text, ``KEY: VALUE`` or ``KEY = VALUE``, in front of voxels or beside them."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from limner.images.headers import DamagedFileError

LONGEST = 1 << 20
"""Maximum bytes of a header; segmentations of 3D Slicer describe hundreds of segments in it."""


def numbers(text: str, *, key: str) -> list[float]:
    """Return the numbers in a value, whatever brackets and commas separate them.

    Raises:
        DamagedFileError: It holds something else.
    """
    try:
        return [float(word) for word in re.split(r"[\s,()]+", text) if word]
    except ValueError:
        raise DamagedFileError(f"the header's {key!r} is {text[:60]!r}; numbers were expected") from None


def whole_numbers(text: str, *, key: str) -> list[int]:
    """Return the whole numbers in a value.

    Raises:
        DamagedFileError: It holds something else.
    """
    found = numbers(text, key=key)
    if any(number != int(number) for number in found):
        raise DamagedFileError(f"the header's {key!r} is {text[:60]!r}; whole numbers were expected")
    return [int(number) for number in found]


def beside(header: Path, name: str) -> Path:
    """Return the file of voxels that a header names, in the header's folder.

    Raises:
        DamagedFileError: The file is not there or in another folder, or the header names several.
    """
    if not name or re.search(r"%\d*d|^LIST\b", name):
        fix = "Save the volume as one file: .nrrd, .mha or .nii.gz."
        raise DamagedFileError(f"a header of several files of voxels ({name or 'none named'})", fix=fix)
    path = header.parent / name
    if (
        PurePath(name).is_absolute() or ".." in PurePath(name).parts
    ):  # a header of strangers reads no other file
        fix = "Put the voxels beside the header, and name them there without their folder."
        raise DamagedFileError(f"its voxels are in another folder: {name}", fix=fix)
    if not path.is_file():
        fix = f"Put {name} beside the header, or save both as one file: .nrrd, .mha or .nii.gz."
        raise DamagedFileError(f"its voxels are in {name}, which is not beside it", fix=fix)
    return path


def refuse_missing(fields: Sequence[str], required: Sequence[str], kind: str) -> None:
    """Refuse a header without one of the required keys.

    Raises:
        DamagedFileError: A key is missing.
    """
    if missing := [key for key in required if key not in fields]:
        raise DamagedFileError(f"the {kind} header lacks {', '.join(missing)}: cut off or damaged")
