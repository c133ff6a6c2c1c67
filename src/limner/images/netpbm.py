"""Netpbm: grey (PGM, ``P5``) and colour (PPM, ``P6``) images with a header in plain text.

Reference: the PGM and PPM pages of the Netpbm manual.
"""

import re

from limner.images.headers import DamagedFileError, ImageHeader

_SPACE = rb"(?:\s|#[^\n]*\n)+"
_START = re.compile(rb"P([56])" + 3 * (_SPACE + rb"(\d{1,9})") + rb"\s")


def netpbm_header(data: bytes) -> ImageHeader:
    """Read width, height and depth, and check that every pixel is there.

    Raises:
        DamagedFileError: The header is not whole, or the file is shorter than its pixels.
    """
    start = _START.match(data)
    if not start:
        raise DamagedFileError("the Netpbm header is not whole")
    kind, width, height, maximum = (int(part) for part in start.groups())
    channels, size = (1 if kind == 5 else 3), (1 if maximum < 256 else 2)
    if not 0 < maximum < 65536:
        raise DamagedFileError(f"the Netpbm header names {maximum} as its largest value")
    if start.end() + height * width * channels * size > len(data):
        raise DamagedFileError(f"the Netpbm file is cut off after {len(data)} bytes")
    return ImageHeader("Netpbm", (height, width), channels, "uint8" if size == 1 else "uint16")
