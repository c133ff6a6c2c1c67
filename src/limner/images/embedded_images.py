"""Images inside label files: labelme can put them there in base64."""

import base64
import binascii
import json
from pathlib import Path

SUFFIX_OF = {
    b"\xff\xd8": ".jpg",
    b"\x89PN": ".png",
    b"BM": ".bmp",
    b"II": ".tif",
    b"MM": ".tif",
    b"RIF": ".webp",
}
"""First bytes of an image -> its suffix."""


def embedded(data: bytes) -> bytes:
    """Return the image that the bytes of a JSON file carry as `imageData`; nothing where they carry none."""
    try:
        whole = json.loads(data)
        return base64.b64decode(whole["imageData"], validate=True)
    except (ValueError, TypeError, KeyError, binascii.Error, RecursionError):
        return b""


def image_file(path: Path) -> tuple[str, bytes]:
    """Return the suffix and the bytes of an image, be it a file of its own or inside a JSON file."""
    data = path.read_bytes()
    if path.suffix.lower() != ".json":
        return path.suffix, data
    data = embedded(data)
    return next((s for start, s in SUFFIX_OF.items() if data.startswith(start)), ".png"), data
