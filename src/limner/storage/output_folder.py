"""The output folder, created before anything is computed, so that errors come early."""

from pathlib import Path

from limner.core.errors import DataError, describe


def make_output_folder(folder: Path) -> None:
    """Create a folder for results if it does not exist.

    Raises:
        DataError: It cannot be created; the message says why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error


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
