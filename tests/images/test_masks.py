import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from limner.core.errors import DataError
from limner.core.labels import MaskEncoding, pack_rgb
from limner.images.masks import read_valid_region, read_values, write_values

INDEX, COLOR = MaskEncoding(), MaskEncoding("color")
VALUES = np.array([[0, 1, 2], [7, 200, 255]], np.uint8)


def with_palette(indices: np.ndarray, palette: list[int]) -> Image.Image:
    image = Image.fromarray(indices, mode="P")
    image.putpalette(palette)
    return image


# --- index ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".gif", ".npy"])
def test_grey_values_are_the_labels(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mask{suffix}"
    np.save(path, VALUES) if suffix == ".npy" else Image.fromarray(VALUES).save(path)
    np.testing.assert_array_equal(read_values(path, INDEX), VALUES)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_palette_gives_indices_and_not_colours(tmp_path: Path, suffix: str) -> None:
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    path = tmp_path / f"mask{suffix}"
    with_palette(indices, [0, 0, 0, 128, 0, 0, 0, 128, 0]).save(path)
    np.testing.assert_array_equal(read_values(path, INDEX), indices)


def test_transparent_palette_entry_changes_no_index(tmp_path: Path) -> None:
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    with_palette(indices, [0, 0, 0, 128, 0, 0, 0, 128, 0]).save(tmp_path / "mask.png", transparency=0)
    np.testing.assert_array_equal(read_values(tmp_path / "mask.png", INDEX), indices)


@pytest.mark.parametrize("suffix", [".gif", ".bmp"])
def test_grey_palette_of_formats_that_know_only_palettes_gives_greys(tmp_path: Path, suffix: str) -> None:
    # A GIF of two greys is stored as indices 0 and 1 with a palette; what people see and mean is 0 and 255.
    path = tmp_path / f"mask{suffix}"
    with_palette(np.array([[0, 1], [1, 0]], np.uint8), [0, 0, 0, 255, 255, 255]).save(path)
    np.testing.assert_array_equal(read_values(path, INDEX), [[0, 255], [255, 0]])


def test_sixteen_bit_labels(tmp_path: Path) -> None:
    labels = np.array([[0, 300], [40000, 1]], np.uint16)
    Image.fromarray(labels).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_values(tmp_path / "mask.png", INDEX), labels)


def test_three_equal_channels_are_one(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([VALUES] * 3)).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_values(tmp_path / "mask.png", INDEX), VALUES)


def test_constant_alpha_is_dropped(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([VALUES] * 3 + [np.full_like(VALUES, 255)])).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_values(tmp_path / "mask.png", INDEX), VALUES)


def test_labels_hidden_in_alpha_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([np.zeros_like(VALUES)] * 3 + [VALUES])).save(tmp_path / "mask.png")
    with pytest.raises(DataError, match="transparency"):
        read_values(tmp_path / "mask.png", INDEX)


def test_colours_are_refused_and_colour_encoding_is_proposed(tmp_path: Path) -> None:
    colors = np.array([[[0, 0, 0], [128, 0, 0]], [[0, 128, 0], [0, 0, 0]]], np.uint8)
    Image.fromarray(colors).save(tmp_path / "mask.png")
    with pytest.raises(DataError) as refused:
        read_values(tmp_path / "mask.png", INDEX)
    message = str(refused.value)
    assert "3 colours" in message
    assert "(128, 0, 0)" in message
    assert "mask_encoding: color" in message
    assert str(tmp_path / "mask.png") in message


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_masks_keep_their_noise(tmp_path: Path, mode: str) -> None:
    drawn = np.zeros((64, 64), np.uint8)
    drawn[20:40, 10:50] = 255
    Image.fromarray(drawn).convert(mode).save(tmp_path / "mask.jpg", quality=60)
    values = read_values(tmp_path / "mask.jpg", INDEX)
    assert values.shape == (64, 64)
    assert len(np.unique(values)) > 2
    np.testing.assert_array_equal(values > 127, drawn > 127)


def test_negative_and_float_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "signed.npy", np.array([[-1, 0], [3, 4]]))
    np.testing.assert_array_equal(read_values(tmp_path / "signed.npy", INDEX), [[-1, 0], [3, 4]])
    tifffile.imwrite(tmp_path / "whole.tif", np.array([[0.0, 2.0]], np.float32))
    assert read_values(tmp_path / "whole.tif", INDEX).tolist() == [[0, 2]]


@pytest.mark.parametrize("bad", [0.5, np.nan, np.inf])
def test_fractions_are_no_labels(tmp_path: Path, bad: float) -> None:
    tifffile.imwrite(tmp_path / "mask.tif", np.array([[0.0, 1.0], [1.0, bad]], np.float32))
    with pytest.raises(DataError, match=r"not whole numbers(.|\n)*row 1, column 1"):
        read_values(tmp_path / "mask.tif", INDEX)


def test_empty_mask_file(tmp_path: Path) -> None:
    (tmp_path / "mask.png").touch()
    with pytest.raises(DataError, match="0 bytes"):
        read_values(tmp_path / "mask.png", INDEX)


# --- colour and threshold -------------------------------------------------------------------------------


def test_colour_packs_red_first(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[1, 2, 3], [255, 0, 0]]], np.uint8)).save(tmp_path / "mask.png")
    # 1 * 65536 + 2 * 256 + 3 = 66051; 255 * 65536 = 16711680
    assert read_values(tmp_path / "mask.png", COLOR).tolist() == [[66051, 16711680]]


def test_colour_of_grey_and_palette_files(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 9]], np.uint8)).save(tmp_path / "grey.png")
    assert read_values(tmp_path / "grey.png", COLOR).tolist() == [[0, pack_rgb((9, 9, 9))]]
    with_palette(np.array([[1, 0]], np.uint8), [1, 2, 3, 4, 5, 6]).save(tmp_path / "palette.png")
    assert read_values(tmp_path / "palette.png", COLOR).tolist() == [[pack_rgb((4, 5, 6)), 66051]]


def test_sixteen_bits_hold_no_colours(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 900]], np.uint16)).save(tmp_path / "mask.png")
    with pytest.raises(DataError, match="uint16"):
        read_values(tmp_path / "mask.png", COLOR)


def test_threshold_is_strictly_above(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 127, 128, 255]], np.uint8)).save(tmp_path / "mask.png")
    values = read_values(tmp_path / "mask.png", MaskEncoding("threshold", 127))
    assert values.tolist() == [[0, 0, 1, 1]]


# --- writing --------------------------------------------------------------------------------------------


@given(hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6)))
def test_index_masks_come_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, values: np.ndarray
) -> None:
    path = tmp_path_factory.getbasetemp() / "index.png"
    write_values(path, values, INDEX)
    np.testing.assert_array_equal(read_values(path, INDEX), values)


@given(hnp.arrays(np.int32, (3, 4), elements=st.integers(0, 0xFFFFFF)))
def test_colour_masks_come_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, values: np.ndarray
) -> None:
    path = tmp_path_factory.getbasetemp() / "color.png"
    write_values(path, values, COLOR)
    np.testing.assert_array_equal(read_values(path, COLOR), values)


@given(hnp.arrays(np.uint8, (3, 4), elements=st.integers(0, 1)), st.integers(0, 65534))
def test_threshold_masks_come_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, values: np.ndarray, threshold: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "threshold.png"
    write_values(path, values, MaskEncoding("threshold", threshold))
    np.testing.assert_array_equal(read_values(path, MaskEncoding("threshold", threshold)), values)


def test_written_in_the_smallest_type_and_readable_elsewhere(tmp_path: Path) -> None:
    write_values(tmp_path / "small.png", np.array([[0, 255]]), INDEX)
    write_values(tmp_path / "large.png", np.array([[0, 256]]), INDEX)
    with Image.open(tmp_path / "small.png") as small, Image.open(tmp_path / "large.png") as large:
        assert small.mode == "L"
        assert large.mode.startswith("I")
        assert np.asarray(small).tolist() == [[0, 255]]
        assert np.asarray(large).tolist() == [[0, 256]]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["large.png", "small.png"]  # nothing left aside


@pytest.mark.parametrize(
    ("values", "encoding"), [([[-1]], INDEX), ([[70000]], INDEX), ([[2]], MaskEncoding("threshold", 5))]
)
def test_values_that_a_png_cannot_hold(
    tmp_path: Path, values: list[list[int]], encoding: MaskEncoding
) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        write_values(tmp_path / "mask.png", np.array(values), encoding)
    assert not list(tmp_path.iterdir())


def test_valid_region_of_a_lossy_file_is_above_half(tmp_path: Path) -> None:
    drawn = np.zeros((64, 64), np.uint8)
    drawn[:, 32:] = 255
    for name in ("region.jpg", "region.png"):
        Image.fromarray(drawn).save(tmp_path / name)
        np.testing.assert_array_equal(read_valid_region(tmp_path / name, (64, 64)), drawn > 0)


def test_mask_with_the_exif_of_its_photo_turns_with_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise is needed to see it upright
    buffer = io.BytesIO()
    Image.fromarray(np.array([[1, 2], [3, 4], [5, 6]], np.uint8)).save(buffer, "PNG", exif=exif)
    (tmp_path / "mask.png").write_bytes(buffer.getvalue())
    assert read_values(tmp_path / "mask.png", INDEX).tolist() == [[5, 3, 1], [6, 4, 2]]
