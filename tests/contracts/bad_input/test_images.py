"""Image files that are broken, empty, huge or something else: named one by one, the good ones read."""

import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile


def replace(cells, name, data):
    """Put bytes in the place of image 3."""
    (cells / "images" / "cell_03.png").unlink()
    (cells / "images" / name).write_bytes(data)


def jpeg_of(cells):
    image = cv2.imread(str(cells / "images" / "cell_03.png"))
    return bytearray(cv2.imencode(".jpg", image)[1].tobytes())


def png(width, height, compressed=b""):
    """A grey PNG by the book (ISO/IEC 15948), whatever its header claims."""

    def block(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = block(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + block(b"IDAT", compressed) + block(b"IEND", b"")


def with_changed_bytes(data, at, new):
    changed = bytearray(data)
    changed[at : at + len(new)] = new
    return changed


CASES = {
    "corrupt PNG": (
        "cell_03.png",
        lambda cells: with_changed_bytes((cells / "images/cell_03.png").read_bytes(), 2000, b"\x13\x37"),
        "the checksum of a PNG IDAT block is wrong",
    ),
    "truncated JPEG": ("cell_03.jpg", lambda cells: jpeg_of(cells)[:-200], "the JPEG is cut off after"),
    "JPEG damaged in the middle": (
        "cell_03.jpg",
        lambda cells: with_changed_bytes(jpeg_of(cells), 1500, b"\xff\x05"),
        "the JPEG's pixels are damaged at byte 1500 of",
    ),
    "empty file": ("cell_03.png", lambda _: b"", "an empty file (0 bytes)"),
    "zeros": ("cell_03.png", lambda _: bytes(5000), "nothing but zero bytes"),
    "text": ("cell_03.png", lambda _: b"hello there", "text that begins with 'hello there'"),
    "video": ("cell_03.png", lambda _: b"\0\0\0\x18ftypmp42" + bytes(99), "an MP4 or QuickTime video"),
    "bomb by its header": ("cell_03.png", lambda _: png(60000, 60000), "60000 x 60000 pixels"),
    "bomb below the limit": (
        "cell_03.png",
        lambda _: png(9000, 9000, zlib.compress(bytes(9000))),
        "the pixels of the PNG are damaged",
    ),
    "no pixels": ("cell_03.png", lambda _: png(0, 7), "0 x 7 pixels"),
}


@pytest.mark.parametrize("case", CASES)
def test_one_bad_image(limner, cells, case):
    name, make, found = CASES[case]
    replace(cells, name, make(cells))
    answer = limner("check", "data")
    assert answer.code == 1
    answer.says(f"image-unreadable images/{name}", found, "fix ", "1 error", "images 12, 12 with masks")


def test_training_refuses_data_with_errors_and_names_the_file(limner, cells, tiny):
    (cells / "images" / "cell_03.png").write_bytes(b"GIF8")
    limner("train", "data", *tiny).refuses("The data has errors: data", "images/cell_03.png", "limner check")
    assert not (cells.parent / "runs").exists()


def test_a_float_image_with_nan(limner, cells):
    pixels = np.random.default_rng(0).random((40, 48, 3)).astype(np.float32)
    pixels[3, 4] = np.nan
    (cells / "images" / "cell_03.png").unlink()
    tifffile.imwrite(cells / "images" / "cell_03.tif", pixels, photometric="rgb")
    answer = limner("check", "data")
    assert answer.code == 1
    answer.says("images/cell_03.tif", "1 of 1920 pixels are NaN or infinite, the first at row 3, column 4")
    answer.says("expected finite numbers", "fix Fill them in the file")


@pytest.mark.parametrize("size", [(1, 1), (2, 30000)])
def test_odd_sizes_are_a_warning_and_train(limner, cells, picture, tiny, size):
    draw = np.random.default_rng(0)
    picture(cells / "images" / "cell_03.png", draw.integers(0, 256, (*size, 3), dtype=np.uint8))
    picture(cells / "masks" / "cell_03.png", np.zeros(size, np.uint8))
    answer = limner("check", "data")
    assert answer.code == 0
    answer.says("image-tiny images/cell_03.png", f"{size[1]}x{size[0]} pixels", "at least 32 pixels")
    answer = limner("train", "data", "--run", "odd", *tiny)
    assert answer.code == 0, answer
    answer = limner("predict", "runs/odd", "data/images", "--out", "out", "--device", "cpu")
    answer.says("12 of 12 images predicted")
    predicted = cv2.imread(str(cells.parent / "out/masks/cell_03.png"), cv2.IMREAD_UNCHANGED)
    assert predicted.shape == size


def test_images_of_different_kinds(limner, cells):
    (cells / "images" / "cell_03.png").unlink()
    np.save(cells / "images" / "cell_03.npy", np.zeros((40, 48, 5), np.uint8))
    answer = limner("check", "data")
    assert answer.code == 1
    answer.says("channels-differ", "images/cell_03.npy", "5", "fix ")
