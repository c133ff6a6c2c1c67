"""Text files of people and tools: in Unicode, or in an old code page that names of files near them prove."""

import os
import unicodedata
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from limner.core.errors import DataError, describe

CODE_PAGES = {
    "gb18030": "GBK (Chinese)",
    "big5hkscs": "Big5 (Chinese)",
    "cp932": "Shift JIS (Japanese)",
    "cp949": "EUC-KR (Korean)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "cp1250": "Windows-1250 (Central European)",
    "cp1252": "Windows-1252 (Western European)",
}
"""Codec -> what people call it: those in which Windows writes text if nothing else is asked for."""

_MARKS = (
    *((BOM_UTF8, "utf-8-sig"), (BOM_UTF32_LE, "utf-32"), (BOM_UTF32_BE, "utf-32")),
    *((BOM_UTF16_LE, "utf-16"), (BOM_UTF16_BE, "utf-16")),
)
_MOST_FOLDERS, _MOST_NAMES = 50, 2000
_AT_ONCE = 1 << 16  # characters


def decode_text(data: bytes, path: Path) -> str:
    """Return the text of a file: UTF-8, or what its first bytes mark, or the only code page that fits.

    A code page fits if the text then names a file that is there, in letters beyond ASCII.

    Args:
        data: The content of the file.
        path: Where it is; files in its folder and near it are looked at.

    Raises:
        ValueError: It is in no encoding that can be proven; the message says which there could be.
    """
    marked = next((codec for mark, codec in _MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(marked)
    except UnicodeDecodeError as error:
        problem = error
    readings = {codec: text for codec in CODE_PAGES if (text := _decoded(data, codec)) is not None}
    names = [*_names_near(path)] if readings else []
    proven = {text for text in readings.values() if any(name in text for name in names)}
    if len(proven) == 1:
        return proven.pop()
    shown = ", ".join(CODE_PAGES[codec] for codec in readings)
    byte = f"the byte {data[problem.start : problem.start + 1].hex()} at position {problem.start}"
    raise ValueError(
        f"text that is not UTF-8 ({byte})" + (f"; it could be {shown}: save it as UTF-8" if shown else "")
    )


def _decoded(data: bytes, codec: str) -> str | None:
    try:
        return unicodedata.normalize("NFC", data.decode(codec))
    except UnicodeDecodeError:
        return None


def _names_near(path: Path) -> Iterator[str]:
    """Yield the names, without suffix, that are not in ASCII, of files in folders around a file."""
    folders = [path.parent, *_folders(path.parent), *_folders(path.parent.parent)]
    for folder in dict.fromkeys(folders[:_MOST_FOLDERS]):
        for name in _listed(folder):
            stem = unicodedata.normalize("NFC", name.rpartition(".")[0])
            if not stem.isascii():
                yield stem


def _folders(folder: Path) -> list[Path]:
    return [folder / name for name in _listed(folder) if os.path.isdir(folder / name)]  # noqa: PTH112


def _listed(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in islice(entries, _MOST_NAMES)]
    except OSError:
        return []


def read_text(path: Path) -> str:
    """Return the text of a file, see `decode_text`.

    Raises:
        OSError: It cannot be read.
        ValueError: It is in no encoding that can be proven.
    """
    return decode_text(path.read_bytes(), path)


def read_lines(path: Path, *, what: str, fix: str = "Save it as UTF-8.") -> list[str]:
    """Return the lines of a text file.

    Args:
        path: The file.
        what: What it holds, such as ``The YOLO labels``.
        fix: What the user can do if it cannot be read.

    Raises:
        DataError: It cannot be read, or is no text in a known encoding.
    """
    return readable_text(path, what=what, fix=fix).splitlines()


def lines_of(text: str) -> Iterator[str]:
    """Yield the lines of a text as `splitlines` returns them, without holding all of them."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + _AT_ONCE) + 1 or len(text)
        yield from text[start:end].splitlines()
        start = end


def readable_text(path: Path, *, what: str, fix: str = "Save it as UTF-8.") -> str:
    """Return the text of a file; for the arguments and errors, see `read_lines`."""
    try:
        return read_text(path)
    except (OSError, ValueError) as error:
        found = f"{error.strerror or error}" if isinstance(error, OSError) else str(error)
        raise DataError(
            describe(f"{what} cannot be read", where=path, found=found, expected="text in UTF-8", fix=fix)
        ) from None
