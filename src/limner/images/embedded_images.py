"""Images inside label files, where labelme can store them in base64."""

import base64
from pathlib import Path

from limner.storage.file_contents import file_content
from limner.storage.json_files import JsonObject, parse_json

SUFFIX_OF = {
    b"\xff\xd8": ".jpg",
    b"\x89PN": ".png",
    b"BM": ".bmp",
    b"II": ".tif",
    b"MM": ".tif",
    b"RIF": ".webp",
}
"""First bytes of an image -> its suffix."""


def suffix_of(data: bytes) -> str:
    """Return the suffix of an image by its first bytes; that of PNG if they are of no known kind."""
    return next((suffix for start, suffix in SUFFIX_OF.items() if data.startswith(start)), ".png")


def embedded(data: bytes) -> bytes:
    """Return the image in `imageData` of a JSON file; empty if there is none."""
    try:
        return base64.b64decode(JsonObject(parse_json(data)).text("imageData"), validate=True)
    except ValueError:  # binascii.Error is one
        return b""


def image_file(path: Path) -> tuple[str, bytes]:
    """Return the suffix and the bytes of an image file, or of the image inside a JSON file."""
    data = file_content(path)
    if path.suffix.lower() != ".json":
        return path.suffix, data
    data = embedded(data)
    return suffix_of(data), data
