"""NIfTI against hand-made headers, byte for byte, and against nibabel where it is installed."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.core.picture import Geometry
from limner.images.masks import read_values, write_values
from limner.images.read_image import image_header, read_image
from limner.images.volumes.volume_writing import write_volume

SHAPE = (8, 10, 12)  # D, H, W
VOXELS = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE) - 100
AFFINE_XYZ = np.array([[-0.9, 0, 0, 50], [0, 0, 3.0, -20], [0, 1.1, 0, 7], [0, 0, 0, 1.0]])
"""x of the file to the left, y to the head, z to the front."""


def nifti(
    voxels: np.ndarray,
    *,
    order: str = "<",
    code: int = 4,
    slope: float = 0,
    intercept: float = 0,
    sform: np.ndarray | None = AFFINE_XYZ,
    units: int = 2,
    dims: tuple[int, ...] | None = None,
) -> bytes:
    """Return a NIfTI-1 file, packed field by field as nifti1.h describes them."""
    header = bytearray(348)
    sizes = dims or tuple(reversed(voxels.shape))
    struct.pack_into(order + "i", header, 0, 348)
    struct.pack_into(order + "8h", header, 40, len(sizes), *sizes, *[1] * (7 - len(sizes)))
    struct.pack_into(order + "hh", header, 70, code, 8 * voxels.dtype.itemsize)
    struct.pack_into(order + "8f", header, 76, 1, 0.9, 1.1, 3.0, 1, 1, 1, 1)
    struct.pack_into(order + "3f", header, 108, 352, slope, intercept)
    header[123] = units
    if sform is not None:
        struct.pack_into(order + "h", header, 254, 1)
        struct.pack_into(order + "12f", header, 280, *sform[:3].ravel())
    header[148:160] = b"a real scan\0"
    header[344:348] = b"n+1\0"
    return bytes(header) + b"\0\0\0\0" + voxels.astype(voxels.dtype.newbyteorder(order)).tobytes()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("name", ["case.nii", "case.nii.gz"])
def test_reads_voxels_and_place(tmp_path: Path, order: str, name: str) -> None:
    data = nifti(VOXELS, order=order)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    picture = read_image(tmp_path / name)
    assert (picture.array.shape, picture.array.dtype) == ((*SHAPE, 1), np.float32)
    np.testing.assert_array_equal(picture.array[..., 0], VOXELS)
    # The array's axes are z, y, x of the file: slices 3 mm apart, rows 1.1, columns 0.9.
    np.testing.assert_allclose(picture.geometry.spacing_mm, (3, 1.1, 0.9), rtol=1e-6)
    place = picture.geometry.affine @ [2, 3, 4, 1]  # slice 2, row 3, column 4
    np.testing.assert_allclose(place, AFFINE_XYZ @ [4, 3, 2, 1], rtol=1e-6)
    header = image_header(tmp_path / name)
    assert (header.shape, header.channels, header.stored_dtype) == (SHAPE, 1, "int16")


def test_reads_slope_and_intercept(tmp_path: Path) -> None:
    (tmp_path / "ct.nii").write_bytes(nifti(VOXELS, slope=2, intercept=-1024))
    np.testing.assert_array_equal(read_image(tmp_path / "ct.nii").array[..., 0], VOXELS * 2.0 - 1024)


def test_units_are_millimetres(tmp_path: Path) -> None:
    (tmp_path / "micro.nii").write_bytes(nifti(VOXELS, units=3))
    geometry = read_image(tmp_path / "micro.nii").geometry
    np.testing.assert_allclose(geometry.spacing_mm, (3e-3, 1.1e-3, 0.9e-3), rtol=1e-6)


def test_without_a_form_the_place_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "lost.nii").write_bytes(nifti(VOXELS, sform=None))
    geometry = read_image(tmp_path / "lost.nii").geometry
    assert geometry.affine is None
    np.testing.assert_allclose(geometry.spacing_mm, (3, 1.1, 0.9), rtol=1e-6)


def test_a_quaternion_gives_the_affine(tmp_path: Path) -> None:
    data = bytearray(nifti(VOXELS, sform=None))
    # A quarter turn around z, (cos 45, 0, 0, sin 45): x of the file points to y.
    struct.pack_into("<h", data, 252, 1)
    struct.pack_into("<6f", data, 256, 0, 0, np.sqrt(0.5), 5, 6, 7)
    (tmp_path / "turned.nii").write_bytes(bytes(data))
    affine = read_image(tmp_path / "turned.nii").geometry.affine
    np.testing.assert_allclose(affine @ [0, 0, 1, 1], [5, 6.9, 7, 1], atol=1e-6)  # one column on: 0.9 mm in y
    np.testing.assert_allclose(affine @ [0, 1, 0, 1], [3.9, 6, 7, 1], atol=1e-6)  # one row on: -1.1 mm in x


def test_a_fourth_axis_is_channels(tmp_path: Path) -> None:
    several = np.stack([VOXELS, VOXELS + 7])
    (tmp_path / "mr.nii").write_bytes(nifti(several))
    image = read_image(tmp_path / "mr.nii").array
    assert image.shape == (*SHAPE, 2)
    np.testing.assert_array_equal(image[..., 1], VOXELS + 7)


@pytest.mark.parametrize("channels", [2, 3])
def test_a_label_of_several_volumes_is_refused(tmp_path: Path, channels: int) -> None:
    """Three channels are no colours there."""
    (tmp_path / "label.nii").write_bytes(nifti(np.stack([VOXELS % 2 * n for n in range(channels)])))
    with pytest.raises(DataError, match=f"(?s)label.nii.*{channels} channels that differ"):
        read_values(tmp_path / "label.nii")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d[:200], "ends inside the NIfTI header"),
        (lambda d: d[:-1], "cut off|claims"),
        (lambda d: b"\0" * len(d), "no NIfTI"),
        (lambda d: d[:344] + b"\0\0\0\0" + d[348:], "ANALYZE"),
        (lambda d: d[:344] + b"ni1\0" + d[348:], "pair"),
        (lambda d: d[:40] + struct.pack("<8h", 3, 30000, 1000, 1000, 1, 1, 1, 1) + d[56:], "claims"),
        (lambda d: d[:70] + struct.pack("<h", 32) + d[72:], "complex"),
        (lambda d: d[:280] + bytes(48) + d[328:], "singular"),
        (lambda d: d[:40] + struct.pack("<8h", 3, 12, 0, 8, 1, 1, 1, 1) + d[56:], "12 x 0 x 8"),
        (lambda d: b"", "empty file"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_bad_files_are_named(tmp_path: Path, change, said: str, packed: bool) -> None:
    path = tmp_path / ("bad.nii.gz" if packed else "bad.nii")
    data = change(nifti(VOXELS))
    path.write_bytes(gzip.compress(data) if packed and data else data)
    with pytest.raises(DataError, match=said) as refused:
        read_image(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("kept", [0.3, 0.5, 0.9, 0.999])
def test_a_gzip_file_cut_off_is_named(tmp_path: Path, kept: float) -> None:
    noise = np.random.default_rng(0).integers(-999, 999, SHAPE).astype(np.int16)
    packed = gzip.compress(nifti(noise))
    (tmp_path / "half.nii.gz").write_bytes(packed[: int(kept * len(packed))])
    with pytest.raises(DataError, match="cut off"):
        read_image(tmp_path / "half.nii.gz")


def test_one_damaged_byte_is_found(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(nifti(np.zeros(SHAPE, np.int16))))
    packed[-6] ^= 1  # in the checksum
    (tmp_path / "bad.nii.gz").write_bytes(packed)
    with pytest.raises(DataError, match="damaged"):
        read_image(tmp_path / "bad.nii.gz")


def test_values_that_are_not_numbers_are_named(tmp_path: Path) -> None:
    voxels = VOXELS.astype(np.float32)
    voxels[2, 3, 4] = np.nan
    (tmp_path / "nan.nii").write_bytes(nifti(voxels, code=16))
    with pytest.raises(DataError, match=r"1 of 960 voxels .* voxel \(x 4, y 3, slice 2\)"):
        read_image(tmp_path / "nan.nii")


@pytest.mark.parametrize("order", "<>")
def test_labels_keep_the_header_of_their_image(tmp_path: Path, order: str) -> None:
    image, mask = tmp_path / "case.nii.gz", tmp_path / "mask.nii.gz"
    original = nifti(VOXELS, order=order, slope=2, intercept=5)
    image.write_bytes(gzip.compress(original))
    values = (VOXELS > 300).astype(np.int32) * 300
    write_values(mask, values, like=image)
    written = gzip.decompress(mask.read_bytes())
    np.testing.assert_array_equal(read_values(mask), values)
    assert read_values(mask).dtype == np.uint16
    # Units, forms, spacing and description are those of the image, byte for byte; slope and type are not.
    for start, end in ((76, 108), (123, 124), (148, 344), (344, 352)):
        assert written[start:end] == original[start:end]
    assert struct.unpack_from(order + "2h", written, 70) == (512, 16)
    assert struct.unpack_from(order + "2f", written, 112) == (1, 0)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".npz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3])
def test_written_volumes_are_read_back(tmp_path: Path, suffix: str, dtype: type, channels: int) -> None:
    from limner.images.pixels import read_pixels

    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 200, (*SHAPE, channels)).astype(dtype)
    turned = np.linalg.qr(rng.normal(size=(3, 3)))[0] * [3.0, 1.1, 0.9]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turned, (10, -20, 30)
    write_volume(tmp_path / f"v{suffix}", pixels, Geometry((3.0, 1.1, 0.9), affine))
    read, header = read_pixels(tmp_path / f"v{suffix}")
    np.testing.assert_array_equal(read, pixels)
    assert read.dtype == dtype
    np.testing.assert_allclose(header.geometry.affine, affine, atol=1e-5)
    np.testing.assert_allclose(header.geometry.spacing_mm, (3.0, 1.1, 0.9), rtol=1e-6)
    first = (tmp_path / f"v{suffix}").read_bytes()
    write_volume(tmp_path / f"v{suffix}", pixels, Geometry((3.0, 1.1, 0.9), affine))
    assert (tmp_path / f"v{suffix}").read_bytes() == first or suffix == ".npz"


def test_float_labels_are_rounded_or_refused(tmp_path: Path) -> None:
    values = np.ones(SHAPE, np.float32)
    values[0, 0, 0] = 0.99999
    (tmp_path / "near.nii").write_bytes(nifti(values, code=16))
    assert (read_values(tmp_path / "near.nii") == 1).all()
    values[1, 2, 3] = 1.5
    (tmp_path / "half.nii").write_bytes(nifti(values, code=16))
    with pytest.raises(DataError, match=r"1.5 at voxel \(x 3, y 2, slice 1\); 1 such"):
        read_values(tmp_path / "half.nii")


@pytest.mark.peer
@pytest.mark.parametrize("quaternion", [False, True])
def test_nibabel_agrees(tmp_path: Path, quaternion: bool) -> None:
    nibabel = pytest.importorskip("nibabel")
    rng = np.random.default_rng(2)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation * [0.9, 1.1, 3.0], (4, 5, 6)
    image = nibabel.Nifti1Image(VOXELS.transpose(2, 1, 0), affine)
    image.set_qform(affine, code=1)
    image.set_sform(None if quaternion else affine, code=0 if quaternion else 1)
    nibabel.save(image, tmp_path / "n.nii.gz")
    picture = read_image(tmp_path / "n.nii.gz")
    np.testing.assert_array_equal(picture.array[..., 0], VOXELS)
    np.testing.assert_allclose(picture.geometry.affine[:, [2, 1, 0, 3]], image.affine, atol=1e-5)
    write_values(tmp_path / "m.nii.gz", VOXELS > 0, like=tmp_path / "n.nii.gz")
    written = nibabel.load(tmp_path / "m.nii.gz")
    np.testing.assert_allclose(written.affine, image.affine, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(written.dataobj), VOXELS.transpose(2, 1, 0) > 0)
