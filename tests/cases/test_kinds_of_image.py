"""Images under any suffix are read, or named: none vanishes, leaving a mask without an image."""

import numpy as np
import pytest
from PIL import features

from limner.api.check import check
from limner.core.errors import DataError

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
MASK = np.zeros((40, 50), np.uint8)
MASK[5:20, 5:20] = 1
SUFFIXES = [".jpg", ".jp2", ".webp", ".png", *([".avif"] if features.check("avif") else [])]


def test_avif_and_jpeg_2000_are_images(tree) -> None:
    images = {f"images/{n}{suffix}": PICTURE for n, suffix in enumerate(SUFFIXES)}
    found = check(tree(images | {f"masks/{n}.png": MASK for n in range(len(SUFFIXES))}))
    assert [image.label_file for image in found.facts.labelled] == [
        f"masks/{n}.png" for n in range(len(SUFFIXES))
    ]
    assert not found.errors and "mask-without-image" not in {f.code for f in found.findings}


@pytest.mark.parametrize("name", ["3.heic", "3.dng", "3.SVS", "3.mp4"])
def test_what_is_not_read_is_named(tree, name) -> None:
    files = {f"images/{n}.png": PICTURE for n in range(3)} | {f"masks/{n}.png": MASK for n in range(4)}
    found = check(tree(files | {f"images/{name}": b"\0\0\0\x18ftypheic\0\0\0\0heic" + bytes(99)}))
    said = [f for f in found.findings if f.code in ("image-kind-not-read", "image-unreadable")]
    assert [f.files[0] for f in said] == [f"images/{name}"]
    assert "Save" in said[0].fix or "pillow-heif" in said[0].fix + said[0].found


def test_a_folder_of_nothing_else_names_them_too(tree) -> None:
    with pytest.raises(DataError, match=r"2 \.cr2 files \(raw photos of a camera, not read\)"):
        check(tree({"a.cr2": b"x", "b.cr2": b"x", "a.png": MASK}))
