"""XML files: parsing with errors that name the file, and access to text and numbers."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from limner.core.errors import DataError
from limner.storage.json_files import unreadable
from limner.storage.text_files import decode_text
from limner.storage.usable_numbers import number_of

# Entities can expand without limit, and no annotation tool writes any. UTF-16 puts zeros between the letters.
_ENTITY = re.compile(rb"<\0*!\0*E\0*N\0*T\0*I\0*T\0*Y")
_DECLARED = re.compile(rb"\s*<\?xml[^>]*encoding=[\"']([\w.:-]+)")


def read_xml(path: Path, *, root: str, what: str) -> ElementTree.Element:
    """Return the root of an XML file.

    Args:
        path: The file.
        root: Required name of the root element.
        what: Its content, for messages, such as ``The VOC annotations``.

    Raises:
        DataError: It cannot be read, is not XML, or has another root.
    """
    try:
        found = _parsed(path.read_bytes(), path)
    except (OSError, ValueError, ElementTree.ParseError) as error:
        raise _refusal(path, root, what, str(error)) from None
    if found.tag != root:
        raise _refusal(path, root, what, f"<{found.tag}>")
    return found


def parse_xml(text: str) -> ElementTree.Element:
    """Return the root of XML in a text.

    Raises:
        ValueError: It is no XML, or defines entities.
    """
    if "<!ENTITY" in text.upper():
        raise ValueError("it defines entities")
    try:
        return ElementTree.fromstring(text)  # noqa: S314
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from None


def _parsed(data: bytes, path: Path) -> ElementTree.Element:
    if _ENTITY.search(data):
        raise ValueError("it defines entities")
    try:
        return ElementTree.fromstring(data)  # noqa: S314
    except (ValueError, LookupError, ElementTree.ParseError):  # perhaps an encoding that expat does not know
        text = _text(data, path)
    if "<!ENTITY" in text:
        raise ValueError("it defines entities")
    return ElementTree.fromstring(text)  # noqa: S314


def _text(data: bytes, path: Path) -> str:
    """Decode XML by the encoding that it declares, if that is no Unicode; else as any text."""
    declared = _DECLARED.match(data)
    codec = declared[1].decode().casefold() if declared else "utf"
    if codec.startswith("utf"):
        return decode_text(data, path)
    try:
        return data.decode(codec)
    except (LookupError, UnicodeDecodeError) as error:
        raise ValueError(f"text that is not in the encoding it declares ({error})") from None


def _refusal(path: Path, root: str, what: str, found: str) -> DataError:
    return unreadable(path, what=what, found=found, expected=f"XML that begins with <{root}>")


def text_in(element: ElementTree.Element, path: str) -> str:
    """Return the text of a child, or an empty string."""
    return (element.findtext(path) or "").strip()


def number_in(element: ElementTree.Element, path: str) -> float | None:
    """Return the number that a child holds, or None."""
    return number_of(element.findtext(path))
