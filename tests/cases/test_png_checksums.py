"""PNG files with a wrong checksum: in a comment it matters to no one, in the pixels it is damage."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.core.errors import DataError
from limner.images.masks import read_values
from limner.images.read_image import read_image

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)


def block(kind: bytes, content: bytes) -> bytes:
    """Return a PNG block whose checksum is wrong."""
    checksum = zlib.crc32(kind + content) ^ 1
    return len(content).to_bytes(4, "big") + kind + content + checksum.to_bytes(4, "big")


def png(path: Path, extra: bytes) -> Path:
    Image.fromarray(GREY).save(path)
    data = path.read_bytes()
    path.write_bytes(data[:33] + extra + data[33:] + b"trailing bytes")  # 33: after the header
    return path


@pytest.mark.parametrize("kind", [b"tEXt", b"tIME", b"zTXt"])
def test_a_comment_with_a_wrong_checksum_is_passed_over(tmp_path: Path, kind: bytes) -> None:
    path = png(tmp_path / "a.png", block(kind, b"Comment\0x"))
    assert read_values(path).tolist() == GREY.tolist()
    assert read_image(path).array[..., 0].tolist() == GREY.tolist()


@pytest.mark.parametrize("kind", [b"tRNS", b"IDAT"])
def test_what_pixels_depend_on_is_checked(tmp_path: Path, kind: bytes) -> None:
    path = png(tmp_path / "a.png", block(kind, b"\0\1"))
    with pytest.raises(DataError, match="checksum"):
        read_values(path)
