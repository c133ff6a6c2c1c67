"""JPEG 2000, AVIF and HEIC: read as they are, or refused with what to do."""

import io
import sys

import cv2
import numpy as np
import pytest
from PIL import Image, features

from limner.core.errors import DataError
from limner.images.read_image import image_header, read_image

RGB = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype=np.uint8)
needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


def saved(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("pixels", [RGB, RGB[..., 0], RGB.astype(np.uint16)[..., 0] * 257], ids=str)
def test_jpeg_2000_keeps_its_values(tmp_path, pixels) -> None:
    path = tmp_path / "a.jp2"
    path.write_bytes(saved(np.ascontiguousarray(pixels), "JPEG2000"))
    header = image_header(path)
    assert (header.container, header.shape, header.is_lossy) == ("JPEG 2000", (9, 14), False)
    found = read_image(path).array
    assert found.dtype == pixels.dtype
    np.testing.assert_array_equal(found, pixels.reshape(9, 14, -1))


def test_jpeg_2000_with_the_rounding_wavelet_is_lossy(tmp_path) -> None:
    (tmp_path / "a.jp2").write_bytes(saved(RGB, "JPEG2000", irreversible=True))
    assert image_header(tmp_path / "a.jp2").is_lossy


def test_alpha_of_jpeg_2000_is_dropped(tmp_path) -> None:
    (tmp_path / "a.jp2").write_bytes(saved(np.dstack([RGB, RGB[..., :1]]), "JPEG2000"))
    assert image_header(tmp_path / "a.jp2").has_alpha
    np.testing.assert_array_equal(read_image(tmp_path / "a.jp2").array, RGB)


@needs_avif
def test_avif_is_read_and_turned_upright(tmp_path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # the first stored row is the right side
    flat = np.full((20, 30, 3), 200, np.uint8)
    flat[:5] = 10
    (tmp_path / "a.avif").write_bytes(saved(flat, "AVIF", quality=100, exif=turned))
    assert image_header(tmp_path / "a.avif").shape == (30, 20)
    found = read_image(tmp_path / "a.avif").array
    assert found.shape == (30, 20, 3)
    assert found[:, -3:].max() < 20 and found[:, :10].min() > 190


@needs_avif
def test_avif_of_ten_bits_is_refused_rather_than_reduced(tmp_path) -> None:
    _, data = cv2.imencode(".avif", RGB.astype(np.uint16) * 4, [cv2.IMWRITE_AVIF_DEPTH, 10])
    (tmp_path / "a.avif").write_bytes(data.tobytes())
    with pytest.raises(DataError, match="10 bits per sample") as refused:
        read_image(tmp_path / "a.avif")
    assert "16 bits" in str(refused.value)


@pytest.mark.parametrize("kind", ["JPEG2000", pytest.param("AVIF", marks=needs_avif)])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.99])
def test_cut_off_files_are_refused(tmp_path, kind, share) -> None:
    data = saved(RGB, kind)
    (tmp_path / "a.jp2").write_bytes(data[: int(share * len(data))])
    with pytest.raises(DataError, match=r"a\.jp2"):
        read_image(tmp_path / "a.jp2")


def test_heic_says_what_to_install(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(100))
    with pytest.raises(DataError, match="HEIC photo") as refused:
        read_image(tmp_path / "a.heic")
    assert "pip install pillow-heif" in str(refused.value)
