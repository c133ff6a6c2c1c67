"""JSON files of other tools: readers ask for values by type, and a value of another type reads as missing.

Readers get a `JsonObject`, never a dictionary. So a number where text should be, or a list in place of an
object, cannot reach code that does not expect it.
"""

import json
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from reprlib import Repr

from limner.core.errors import DataError, describe
from limner.storage.text_files import decode_text
from limner.storage.usable_numbers import is_number
from limner.storage.whole_files import write_whole

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_short = Repr()
_short.maxlevel = 2
_short.maxdict = _short.maxlist = 3
_short.maxstring = _short.maxlong = _short.maxother = 40

SNIFFED_BYTES = 65536
"""Read from either end of a JSON or XML file to recognise it."""

MAX_SNIFFED = 50
"""Maximum number of files to look into; layouts with one per image have more."""


def ends(path: Path) -> bytes:
    """Return the bytes at both ends of a file; none if it cannot be read.

    The mark of an encoding at the beginning is left out, and UTF-16 loses its zeros.
    """
    try:
        with path.open("rb") as file:
            head = file.read(SNIFFED_BYTES)
            file.seek(max(len(head), path.stat().st_size - SNIFFED_BYTES))
            both = head + b"\n" + file.read(SNIFFED_BYTES)
            if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
                return both[len(BOM_UTF16_LE) :].replace(b"\0", b"")
            return both.removeprefix(BOM_UTF8)
    except OSError:
        return b""


class JsonObject:
    """One object of a JSON file."""

    __slots__ = ("_values",)

    def __init__(self, values: object = None) -> None:
        """Wrap what JSON gave; anything but an object has no keys."""
        self._values: dict[str, object] = values if isinstance(values, dict) else {}

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __repr__(self) -> str:
        return _short.repr(self._values)

    def value(self, key: str) -> object:
        """Return a value of any type, or None."""
        return self._values.get(key)

    def text(self, key: str) -> str:
        """Return text, or a number as text; else an empty string."""
        return as_text(self._values.get(key))

    def number(self, key: str) -> float | None:
        """Return a number, see `is_number`, or None."""
        value = self._values.get(key)
        return value if is_number(value) else None  # type: ignore[return-value]

    def texts(self, key: str) -> list[str]:
        """Return the items of a list that are text or numbers, as text."""
        return [text for item in self.items(key) if (text := as_text(item))]

    def is_set(self, key: str) -> bool:
        """Tell whether a value is true, or a number or text that is not 0 or empty."""
        return bool(self._values.get(key))

    def has_list(self, key: str) -> bool:
        """Tell whether a value is a list."""
        return isinstance(self._values.get(key), list)

    def items(self, key: str) -> list[object]:
        """Return the items of a list; none if it is no list."""
        value = self._values.get(key)
        return value if isinstance(value, list) else []

    def child(self, key: str) -> "JsonObject":
        """Return an object; an empty one if it is none."""
        return JsonObject(self._values.get(key))

    def children(self, key: str) -> list["JsonObject"]:
        """Return the items of a list as objects; an item that is none becomes an empty one."""
        return [JsonObject(item) for item in self.items(key)]

    def with_values(self, **values: object) -> "JsonObject":
        """Return the object with some values replaced."""
        plain = {k: v._values if isinstance(v, JsonObject) else v for k, v in values.items()}
        return JsonObject(self._values | plain)

    @property
    def names(self) -> tuple[str, ...]:
        """The keys in their order."""
        return tuple(self._values)

    @property
    def set_names(self) -> tuple[str, ...]:
        """The keys whose values are set, see `is_set`."""
        return tuple(key for key, value in self._values.items() if value)


def as_text(value: object) -> str:
    """Return text as it is and a number as text; an empty string for anything else."""
    return value if isinstance(value, str) else str(value) if is_number(value) else ""


def as_shown(value: object) -> str:
    """Return a value for a message: short, however long or deeply nested it is."""
    return _short.repr(value)


def parse_json(data: bytes, path: Path | None = None) -> object:
    """Parse JSON in UTF-8, UTF-16 or UTF-32; halves of surrogate pairs, which are no text, become U+FFFD.

    Args:
        data: The content.
        path: Its file, if it may be in an old code page that the names of files there can prove.

    Raises:
        ValueError: It is no JSON, nests too deeply, or spells a number of thousands of digits.
    """
    try:
        value: object = _loaded(data, path)
        return _without_surrogates(value) if _SURROGATE.search(data) else value
    except RecursionError:
        raise ValueError("lists or objects are nested too deeply") from None


def _loaded(data: bytes, path: Path | None) -> object:
    try:
        return json.loads(data)
    except UnicodeDecodeError:
        if path is None:
            raise
        return json.loads(decode_text(data, path))


def _without_surrogates(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {str(_without_surrogates(key)): _without_surrogates(item) for key, item in value.items()}
    return [_without_surrogates(item) for item in value] if isinstance(value, list) else value


def read_json(path: Path, *, what: str, expected: str) -> object:
    """Return the content of a JSON file.

    Args:
        path: The file.
        what: Its content, for messages, such as ``The COCO annotations``.
        expected: What the file should contain, for messages.

    Raises:
        DataError: It cannot be read, or is not JSON.
    """
    try:
        return parse_json(path.read_bytes(), path)
    except (OSError, ValueError) as error:
        raise unreadable(path, what=what, found=str(error), expected=expected) from None


def read_json_object(path: Path, *, what: str, expected: str, lists: str = "") -> JsonObject:
    """Return the object that a JSON file holds.

    Args:
        path: The file.
        what: What it holds.
        expected: What should be there.
        lists: A key that has to hold a list.

    Raises:
        DataError: It cannot be read, is no JSON, or holds something else.
    """
    whole = JsonObject(read_json(path, what=what, expected=expected))
    if lists and not whole.has_list(lists):
        raise unreadable(path, what=what, found=f"no list `{lists}`", expected=expected)
    return whole


def unreadable(
    path: Path, *, what: str, found: str, expected: str, fix: str = "Export or download it again."
) -> DataError:
    """Return the error of a file that does not hold what it should."""
    return DataError(
        describe(
            f"{what} cannot be read",
            where=path,
            found=found,
            expected=expected,
            fix=fix,
        )
    )


def write_json(path: Path, values: object, *, durable: bool = False) -> None:
    """Write JSON-ready values as indented UTF-8 text, with `write_whole`.

    Raises:
        WriteError: The disk is full, read-only or failing; `path` is unchanged.
    """
    write_whole(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n", durable=durable)
