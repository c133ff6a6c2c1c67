"""Places of outputs, checked before anything is computed, so that errors come early."""

import errno
import tempfile
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path

from limner.core.dataset_file import FILE_NAME
from limner.core.errors import DataError, WriteError, describe
from limner.storage.disk_problems import disk_problem
from limner.storage.user_paths import user_path

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""Errors of the disk, not of the chosen name."""


def make_output_folder(folder: Path) -> None:
    """Create a folder for results if it does not exist.

    Raises:
        DataError: It cannot be created; the message says why.
        WriteError: The disk is full, read-only or failing.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in DISK_ERRORS:
            raise WriteError(folder, disk_problem(error) or str(error)) from error
        raise cannot_write(folder, error) from error


def numbered_places(path: Path) -> Iterator[Path]:
    """Yield the path, then the same with ``-2``, ``-3``, ..."""
    return chain([path], (path.with_name(f"{path.name}-{number}") for number in count(2)))


def refuse_unwritable(path: Path) -> None:
    """Refuse a new file or folder whose place cannot be written.

    Raises:
        DataError: Its folder is a file, or read-only.
    """
    above = next(folder for folder in path.absolute().parents if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise DataError(
            describe(
                "The output cannot be written",
                where=path,
                found=f"{above}: {'a file' if above.is_file() else error.strerror or error}",
                expected="a place that exists or can be created, with free space on its disk",
                fix="Choose another place.",
            )
        ) from None


def refuse_dataset(folder: Path) -> None:
    """Refuse a folder for results that is a dataset, or inside one, as its `dataset.yaml` tells.

    Raises:
        DataError: There is such a file.
    """
    for above in (folder.resolve(), *folder.resolve().parents):
        if (above / FILE_NAME).is_file():
            refuse_inside(folder, above)


def refuse_inside(out: Path | str, data: Path | str) -> None:
    """Refuse an output inside a dataset, whose images and labels it would be taken for the next time.

    Args:
        out: The output.
        data: The folder of the dataset, or of the images.

    Raises:
        DataError: The output is the folder, or inside it.
    """
    if user_path(out).resolve().is_relative_to(user_path(data).resolve()):
        raise inside(out, data)


def inside(out: Path | str, data: Path | str) -> DataError:
    """Return the error of an output inside the folder of the images."""
    return DataError(
        describe(
            "The output is inside the folder of the images",
            where=out,
            found=f"{data} is searched for images with its subfolders",
            expected="an output elsewhere, so that results are not taken for images or labels",
            fix="Choose another output, such as one beside the folder of the images.",
        )
    )


def cannot_write(folder: Path, error: OSError) -> DataError:
    """Return the error for a folder that cannot be written to."""
    return DataError(
        describe(
            "The output folder cannot be written",
            where=folder,
            found="a file of that name" if folder.is_file() else error.strerror or str(error),
            expected="a folder that exists or can be created, with free space on its disk",
            fix="Choose another folder.",
        )
    )
