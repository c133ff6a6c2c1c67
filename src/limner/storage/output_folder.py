"""The folder that results go to, made or refused before anything is computed."""

from pathlib import Path

from limner.core.errors import DataError, describe


def make_output_folder(folder: Path) -> None:
    """Make a folder for results, if it is not there yet.

    Raises:
        DataError: It cannot be made; the message says why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error


def cannot_write(folder: Path, error: OSError) -> DataError:
    """Compose the refusal for a folder that the system will not write to."""
    return DataError(
        describe(
            "The output folder cannot be written",
            where=folder,
            found="a file of that name" if folder.is_file() else error.strerror or str(error),
            expected="a folder that is there or may be made, with room on its disk",
            fix="Name another folder.",
        )
    )
