import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from limner.core.errors import DataError
from limner.images.masks import read_values
from limner.images.read_image import image_header, read_image

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (9, 14), dtype=np.uint8)
RGB = RNG.integers(0, 256, (9, 14, 3), dtype=np.uint8)
RGBA = RNG.integers(0, 256, (9, 14, 4), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (9, 14, 3), dtype=np.uint16)


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def jpeg(array: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", **options)
    return buffer.getvalue()


# --- what can be read -----------------------------------------------------------------------------------


def test_a_picture_says_what_was_read(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", GREY.astype(np.int16))
    picture = read_image(tmp_path / "image.npy")
    assert picture.array.dtype == np.float32
    assert (picture.files, picture.stored_dtype) == ((tmp_path / "image.npy",), "int16")
    assert (picture.geometry.spacing_mm, picture.geometry.affine) == (None, None)


def test_further_files_are_further_channels(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.png" for name in "abc"]
    for file, pixels in zip(files, (GREY, 255 - GREY, RGB), strict=True):
        file.write_bytes(png(pixels))
    picture = read_image(*files)
    assert picture.files == tuple(files)
    np.testing.assert_array_equal(picture.array, np.dstack([GREY, 255 - GREY, RGB]))


@pytest.mark.parametrize(
    ("other", "found"),
    [(GREY[:, 1:], "13x9 pixels of uint8"), (GREY.astype(np.uint16), "14x9 pixels of uint16")],
)
def test_channels_that_do_not_fit_are_refused(tmp_path: Path, other: np.ndarray, found: str) -> None:
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    files[0].write_bytes(png(GREY))
    files[1].write_bytes(png(other))
    with pytest.raises(DataError, match=r"channels of an image differ in size or type: .*b\.png") as refused:
        read_image(*files)
    assert f"found:    {found}" in str(refused.value)
    assert "14x9 pixels of uint8, as" in str(refused.value)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".gif"])
def test_grey_comes_back_as_one_channel(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"image{suffix}"
    Image.fromarray(GREY).save(path)
    image = read_image(path).array
    assert image.shape == (9, 14, 1)
    np.testing.assert_array_equal(image[..., 0], GREY)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_colour_comes_back_in_rgb_order(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"image{suffix}"
    Image.fromarray(RGB).save(path)
    np.testing.assert_array_equal(read_image(path).array, RGB)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_alpha_is_dropped_and_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"image{suffix}"
    Image.fromarray(RGBA).save(path)
    np.testing.assert_array_equal(read_image(path).array, RGBA[..., :3])
    assert image_header(path).has_alpha
    assert image_header(path).channels == 3


def test_alpha_of_lossless_webp_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "image.webp"
    Image.fromarray(RGBA).save(path, lossless=True, exact=True)
    np.testing.assert_array_equal(read_image(path).array, RGBA[..., :3])
    header = image_header(path)
    assert (header.has_alpha, header.is_lossy, header.shape) == (True, False, (9, 14))


def test_lossy_webp_is_told(tmp_path: Path) -> None:
    path = tmp_path / "image.webp"
    Image.fromarray(RGB).save(path)
    header = image_header(path)
    assert (header.container, header.is_lossy, header.shape) == ("WebP", True, (9, 14))
    assert read_image(path).array.shape == (9, 14, 3)


def test_jpeg_is_as_pillow_decodes_it(tmp_path: Path) -> None:
    smooth = np.stack(np.broadcast_arrays(*np.ogrid[0:160:10, 0:240:10], np.uint8(7)), axis=-1).astype(
        np.uint8
    )
    path = tmp_path / "image.jpg"
    path.write_bytes(jpeg(smooth, quality=95))
    with Image.open(path) as other:
        expected = np.asarray(other).astype(int)
    # Decoders round the colour conversion differently, by a few grey levels at most.
    assert np.abs(read_image(path).array.astype(int) - expected).max() <= 4
    assert image_header(path).is_lossy


def test_sixteen_bits_stay_sixteen_bits(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "rgb.tif", DEEP, photometric="rgb")
    np.testing.assert_array_equal(read_image(tmp_path / "rgb.tif").array, DEEP)
    Image.fromarray(DEEP[..., 0]).save(tmp_path / "grey.png")
    image = read_image(tmp_path / "grey.png").array
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image[..., 0], DEEP[..., 0])


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits", "raw"])
def test_tiff_compressions(tmp_path: Path, compression: str) -> None:
    Image.fromarray(RGB).save(tmp_path / "image.tif", compression=compression)
    np.testing.assert_array_equal(read_image(tmp_path / "image.tif").array, RGB)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_tiff_of_many_channels(tmp_path: Path, planar: str) -> None:
    bands = RNG.integers(0, 65536, (20, 30, 7), dtype=np.uint16)
    stored = bands if planar == "contig" else bands.transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "bands.tif", stored, photometric="minisblack", planarconfig=planar)
    np.testing.assert_array_equal(read_image(tmp_path / "bands.tif").array, bands)
    assert image_header(tmp_path / "bands.tif").channels == 7


def test_tiff_pages_of_one_size_are_channels(tmp_path: Path) -> None:
    bands = RNG.integers(0, 256, (5, 20, 30), dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "pages.tif") as writer:
        for band in bands:
            writer.write(band, photometric="minisblack", contiguous=True)
    np.testing.assert_array_equal(read_image(tmp_path / "pages.tif").array, bands.transpose(1, 2, 0))


def test_tiff_palette_is_expanded(tmp_path: Path) -> None:
    indices = RNG.integers(0, 4, (9, 14), dtype=np.uint8)
    palette = Image.fromarray(indices, mode="P")
    palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 1, 2, 3])
    palette.save(tmp_path / "image.tif")
    colors = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90], [1, 2, 3]], np.uint8)
    np.testing.assert_array_equal(read_image(tmp_path / "image.tif").array, colors[indices])


def test_white_is_zero_in_a_tiff_that_says_so(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "image.tif", GREY, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "image.tif").array[..., 0], 255 - GREY)


@pytest.mark.parametrize("suffix", [".png", ".gif", ".bmp"])
def test_palette_is_expanded_to_colours(tmp_path: Path, suffix: str) -> None:
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    image = Image.fromarray(indices, mode="P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.save(tmp_path / f"image{suffix}")
    expected = [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [0, 255, 0]]]
    np.testing.assert_array_equal(read_image(tmp_path / f"image{suffix}").array, expected)
    assert image_header(tmp_path / f"image{suffix}").has_palette


def test_one_bit_image_is_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(GREY > 100).save(tmp_path / "image.png")
    np.testing.assert_array_equal(
        read_image(tmp_path / "image.png").array[..., 0], np.where(GREY > 100, 255, 0)
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float64, bool])
def test_npy_types(tmp_path: Path, dtype: type) -> None:
    array = (RNG.integers(0, 2, (20, 30, 6)) * 100).astype(dtype)
    np.save(tmp_path / "image.npy", array)
    image = read_image(tmp_path / "image.npy").array
    expected = {np.uint8: np.uint8, bool: np.uint8, np.uint16: np.uint16}.get(dtype, np.float32)
    assert image.dtype == expected
    np.testing.assert_array_equal(image, array)


def test_npy_with_channels_first(tmp_path: Path) -> None:
    array = RNG.integers(0, 256, (3, 20, 30), dtype=np.uint8)
    np.save(tmp_path / "image.npy", array)
    np.testing.assert_array_equal(read_image(tmp_path / "image.npy").array, array.transpose(1, 2, 0))
    assert image_header(tmp_path / "image.npy").shape == (20, 30)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    # Four flat quarters survive lossy compression well enough to be told apart.
    quarters = np.repeat(np.repeat(np.array([[0, 80], [160, 240]], np.uint8), 16, axis=0), 24, axis=1)
    image = Image.fromarray(np.dstack([quarters] * 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"image{suffix}"
    image.save(path, exif=exif, **({"quality": 95} if suffix in (".jpg", ".webp") else {}))
    from PIL import ImageOps

    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored)).astype(int)  # Pillow's own rotation
    found = read_image(path).array.astype(int)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 6
    header = image_header(path)
    assert (header.shape, header.orientation) == (expected.shape[:2], orientation)


@pytest.mark.parametrize("shape", [(1, 1), (2, 30000), (30000, 2)])
def test_extreme_shapes(tmp_path: Path, shape: tuple[int, int]) -> None:
    array = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
    (tmp_path / "image.png").write_bytes(png(array))
    np.testing.assert_array_equal(read_image(tmp_path / "image.png").array, array)


def test_names_with_spaces_and_any_letters(tmp_path: Path) -> None:
    path = tmp_path / "größe 图像 № 1.png"
    path.write_bytes(png(RGB))
    np.testing.assert_array_equal(read_image(path).array, RGB)


def test_content_decides_not_the_suffix(tmp_path: Path) -> None:
    (tmp_path / "image.jpg").write_bytes(png(RGB))
    np.testing.assert_array_equal(read_image(tmp_path / "image.jpg").array, RGB)


def test_bytes_after_the_jpegs_end_are_no_harm(tmp_path: Path) -> None:
    (tmp_path / "image.jpg").write_bytes(jpeg(RGB) + b"\0" * 100)
    assert read_image(tmp_path / "image.jpg").array.shape == RGB.shape


def test_headers_agree_with_what_is_decoded(tmp_path: Path) -> None:
    files = {"a.png": RGB, "b.png": GREY, "c.bmp": RGB, "d.tif": DEEP, "e.npy": DEEP, "f.png": GREY > 9}
    for name, array in files.items():
        path = tmp_path / name
        if path.suffix == ".npy":
            np.save(path, array)
        elif path.suffix == ".tif":
            tifffile.imwrite(path, array)
        else:
            Image.fromarray(array).save(path)
        header, image = image_header(path), read_image(path).array
        assert (*header.shape, header.channels) == image.shape, name
        assert header.dtype == image.dtype.name, name


# --- what cannot be read --------------------------------------------------------------------------------


def check_refused(path: Path, *words: str) -> None:
    """Both the header and the pixels are refused, by a message that names the file and says what is wrong."""
    with pytest.raises(DataError) as refused:
        read_image(path)
    message = str(refused.value)
    for word in (str(path), *words):
        assert word in message, message


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tif", ".gif", ".npy"])
def test_truncated_file(tmp_path: Path, suffix: str, keep: float) -> None:
    big = RNG.integers(0, 256, (64, 80, 3), dtype=np.uint8)
    path = tmp_path / f"image{suffix}"
    np.save(path, big) if suffix == ".npy" else Image.fromarray(big).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    check_refused(path)


def test_progressive_jpeg_with_a_thumbnail_is_not_fooled_by_the_thumbnails_end(tmp_path: Path) -> None:
    thumbnail = jpeg(RGB)
    exif = b"Exif\0\0" + thumbnail  # as a camera embeds it: its end mark stands in the first segment
    whole = jpeg(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8), exif=exif, progressive=True)
    (tmp_path / "whole.jpg").write_bytes(whole)
    assert read_image(tmp_path / "whole.jpg").array.shape == (64, 64, 3)
    (tmp_path / "cut.jpg").write_bytes(whole[:-200])
    check_refused(tmp_path / "cut.jpg", "cut off", "end mark")


def test_one_flipped_bit_in_a_png(tmp_path: Path) -> None:
    data = bytearray(png(RGB))
    data[len(data) // 2] ^= 0x10
    (tmp_path / "image.png").write_bytes(data)
    check_refused(tmp_path / "image.png", "checksum")


@pytest.mark.parametrize("kind", [b"iCCP", b"pHYs", b"sRGB", b"zTXt"])
def test_a_png_with_a_damaged_profile_is_read_without_a_word_of_libpng(tmp_path: Path, capfd, kind) -> None:
    good = png(RGB)
    broken = struct.pack(">I", 2) + kind + b"x\0" + struct.pack(">I", zlib.crc32(kind + b"x\0"))
    (tmp_path / "a.png").write_bytes(good[:33] + broken + good[33:])
    assert np.array_equal(read_image(tmp_path / "a.png").array, RGB)
    assert capfd.readouterr().err == ""


def test_png_whose_pixels_end_early_though_its_blocks_are_whole(tmp_path: Path) -> None:
    def block(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = zlib.compress(b"\0" + bytes(14))  # one row of nine
    header = struct.pack(">IIBBBBB", 14, 9, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + block(b"IHDR", header) + block(b"IDAT", rows) + block(b"IEND", b"")
    (tmp_path / "image.png").write_bytes(data)
    check_refused(tmp_path / "image.png")


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "image.png").touch()
    check_refused(tmp_path / "image.png", "0 bytes")


def test_text_named_png(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_text("hello, not an image\n")
    check_refused(tmp_path / "image.png", "text that begins with 'hello, not an image'", "PNG, JPEG")


def test_lfs_pointer_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    check_refused(tmp_path / "image.png", "git lfs pull")


def test_zeros_left_by_a_broken_download(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(bytes(1000))
    check_refused(tmp_path / "image.png", "nothing but zero bytes")


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"%PDF-1.4", "PDF"),
        (b"PK\x03\x04", "ZIP"),
        (b"\x07\x80\xff", "unknown"),
    ],
)
def test_other_kinds_of_file_are_named(tmp_path: Path, start: bytes, name: str) -> None:
    (tmp_path / "image.jpg").write_bytes(start + b"\1\2\3\xff" * 40)
    check_refused(tmp_path / "image.jpg", name)


def test_folder_named_png(tmp_path: Path) -> None:
    (tmp_path / "image.png").mkdir()
    check_refused(tmp_path / "image.png", "folder")


def test_missing_file(tmp_path: Path) -> None:
    check_refused(tmp_path / "nothing.png", "no such image file")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(png(RGB))
    path.chmod(0)
    if os.access(path, os.R_OK):  # the superuser may read everything

        def refuse(_: Path) -> bytes:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_bytes", refuse)
    check_refused(path, "no read permission", "chmod u+r")


def test_link_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.symlink_to(path)
    check_refused(path)


def test_decompression_bomb_is_refused_before_decoding(tmp_path: Path) -> None:
    data = bytearray(png(RGB))
    data[16:24] = struct.pack(">II", 60000, 60000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    (tmp_path / "image.png").write_bytes(data)
    check_refused(tmp_path / "image.png", "60000 x 60000", "3600 million", "tiles")


def test_float_tiff_with_nan(tmp_path: Path) -> None:
    array = np.ones((9, 14), np.float32)
    array[2, 5] = np.nan
    array[8, 0] = np.inf
    tifffile.imwrite(tmp_path / "image.tif", array)
    check_refused(tmp_path / "image.tif", "2 of 126 pixels", "row 2, column 5")


def test_float_tiff_without_nan_is_float32(tmp_path: Path) -> None:
    array = RNG.normal(size=(9, 14)).astype(np.float32)
    tifffile.imwrite(tmp_path / "image.tif", array)
    np.testing.assert_array_equal(read_image(tmp_path / "image.tif").array[..., 0], array)


def test_tiff_stack_is_a_volume(tmp_path: Path) -> None:
    volume = np.arange(5 * 9 * 14, dtype=np.uint16).reshape(5, 9, 14)
    tifffile.imwrite(tmp_path / "image.tif", volume, imagej=True, metadata={"axes": "ZYX"})
    image = read_image(tmp_path / "image.tif").array
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image[..., 0], volume)
    np.testing.assert_array_equal(read_values(tmp_path / "image.tif"), volume)


def test_many_tiff_pages_are_slices_and_few_are_channels(tmp_path: Path) -> None:
    pages = np.arange(17 * 9 * 14, dtype=np.uint16).reshape(17, 9, 14)
    tifffile.imwrite(tmp_path / "many.tif", pages, photometric="minisblack")
    tifffile.imwrite(tmp_path / "few.tif", pages[:16], photometric="minisblack")
    assert read_image(tmp_path / "many.tif").array.shape == (17, 9, 14, 1)
    assert read_image(tmp_path / "few.tif").array.shape == (9, 14, 16)


def test_tiff_series_in_time_is_no_image(tmp_path: Path) -> None:
    volume = np.zeros((5, 9, 14), np.uint8)
    tifffile.imwrite(tmp_path / "image.tif", volume, imagej=True, metadata={"axes": "TYX"})
    check_refused(tmp_path / "image.tif", "stack of 5 time planes")


def test_npy_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    check_refused(tmp_path / "image.npy", "object")


def test_colour_pages_are_not_guessed_into_channels(tmp_path: Path) -> None:
    pages = [Image.fromarray(RGB) for _ in range(3)]
    pages[0].save(tmp_path / "image.tif", save_all=True, append_images=pages[1:])
    check_refused(tmp_path / "image.tif", "3 colour pages")


def test_printing_colours_in_a_tiff(tmp_path: Path) -> None:
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "image.tif")
    check_refused(tmp_path / "image.tif", "CMYK")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".bmp", ".webp", ".tif", ".npy"])
def test_any_damage_is_either_survived_or_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"image{suffix}"
    np.save(path, RGB) if suffix == ".npy" else Image.fromarray(RGB).save(path)
    whole = path.read_bytes()
    random = np.random.default_rng(7)
    told = 0
    for _ in range(60):
        data = bytearray(whole)
        for position in random.integers(0, min(len(data), 300), size=3):
            data[position] = random.integers(256)
        path.write_bytes(data[: random.integers(1, 2 * len(data))])
        try:
            image = read_image(path).array
        except DataError as error:
            told += 1
            assert str(path) in str(error)
        else:
            assert image.ndim == 3
    assert told > 10


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", None])
def test_a_tiff_with_a_palette_gives_colours_or_indices_however_it_is_packed(tmp_path, compression) -> None:
    colors = np.array([[0, 0, 0], [200, 10, 0], [0, 90, 255]], np.uint8)
    indices = RNG.integers(0, 3, (20, 30), dtype=np.uint8)
    image = Image.fromarray(indices, "P")
    image.putpalette(colors.ravel().tolist())
    image.save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array, colors[indices])
    np.testing.assert_array_equal(read_values(tmp_path / "a.tif"), indices)


def test_a_tiff_palette_of_8_bits_is_not_black(tmp_path: Path) -> None:
    table = np.zeros((3, 256), np.uint16)
    table[:, 1] = 200, 10, 90  # 51400, 2570 and 23130 if the file kept to TIFF
    tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 5), np.uint8), photometric="palette", colormap=table)
    assert read_image(tmp_path / "a.tif").array[0, 0].tolist() == [200, 10, 90]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_compressed_tiff_is_turned_once(tmp_path: Path, orientation: int) -> None:
    for name, compression in (("plain", None), ("packed", "tiff_lzw")):
        Image.fromarray(RGB).save(
            tmp_path / f"{name}.tif", compression=compression, tiffinfo={274: orientation}
        )
    plain, packed = (read_image(tmp_path / f"{name}.tif").array for name in ("plain", "packed"))
    np.testing.assert_array_equal(packed, plain)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_compressed_tiff_in_which_0_is_white_is_inverted_like_another(tmp_path: Path, dtype) -> None:
    grey = RNG.integers(0, 200, (20, 30), dtype=dtype)
    tifffile.imwrite(tmp_path / "plain.tif", grey, photometric="miniswhite")
    # Pillow inverts 8 bits when it writes them under this tag, and leaves 16 as they are.
    given = 255 - grey if dtype == np.uint8 else grey
    Image.fromarray(given).save(tmp_path / "packed.tif", compression="tiff_lzw", tiffinfo={262: 0})
    plain, packed = (read_values(tmp_path / f"{name}.tif") for name in ("plain", "packed"))
    np.testing.assert_array_equal(plain, np.iinfo(dtype).max - grey)
    np.testing.assert_array_equal(packed, plain)
