"""XML files: parsing with errors that name the file, and access to text and numbers."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from limner.core.errors import DataError
from limner.storage.json_files import unreadable
from limner.storage.usable_numbers import number_of


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
        data = path.read_bytes()
        # Entities can expand without limit, and no annotation tool writes any. UTF-16 puts zeros between.
        if b"<!ENTITY" in data.replace(b"\0", b""):
            raise ValueError("it defines entities")
        found = ElementTree.fromstring(data)  # noqa: S314
    except (OSError, ValueError, ElementTree.ParseError) as error:
        raise _refusal(path, root, what, str(error)) from None
    if found.tag != root:
        raise _refusal(path, root, what, f"<{found.tag}>")
    return found


def _refusal(path: Path, root: str, what: str, found: str) -> DataError:
    return unreadable(path, what=what, found=found, expected=f"XML that begins with <{root}>")


def text_in(element: ElementTree.Element, path: str) -> str:
    """Return the text of a child, or an empty string."""
    return (element.findtext(path) or "").strip()


def number_in(element: ElementTree.Element, path: str) -> float | None:
    """Return the number that a child holds, or None."""
    return number_of(element.findtext(path))
