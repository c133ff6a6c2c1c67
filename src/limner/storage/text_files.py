"""Text files: read with an error that names the file."""

from pathlib import Path

from limner.core.errors import DataError, describe


def read_lines(path: Path, *, what: str, fix: str = "Save it as UTF-8.") -> list[str]:
    """Return the lines of a text file.

    Args:
        path: The file.
        what: What it holds, such as ``The YOLO labels``.
        fix: What the user can do if it cannot be read.

    Raises:
        DataError: It cannot be read, or is not text in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        found = f"{error.strerror or error}" if isinstance(error, OSError) else str(error)
        raise DataError(
            describe(f"{what} cannot be read", where=path, found=found, expected="text in UTF-8", fix=fix)
        ) from None
