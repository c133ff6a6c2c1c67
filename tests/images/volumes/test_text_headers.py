"""NRRD and MetaImage: hand-made files with every way of placing voxels, and what damaged ones say."""

import bz2
import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.core.picture import Geometry
from limner.images.masks import read_values, write_values
from limner.images.read_image import read_image
from limner.images.volumes.volume_writing import write_volume

VOXELS = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4) - 5  # z, y, x
HEAD = "NRRD0004\n# made by hand\ntype: short\ndimension: 3\nsizes: 4 3 2\nendian: {}\nencoding: {}\n{}\n"
PLACE = (
    "space: left-posterior-superior\nspace directions: (0.5,0,0) (0, 0.6, 0) (0,0,2)\n"
    "space origin: (10,20,30)\n"
)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("raw", bytes),
        ("gzip", gzip.compress),
        ("bzip2", bz2.compress),
        ("ascii", lambda d: " ".join(map(str, np.frombuffer(d, "<i2"))).encode()),
    ],
)
def test_nrrd_encodings(tmp_path: Path, encoding: str, pack) -> None:
    head = HEAD.format("little", encoding, PLACE)
    (tmp_path / "a.nrrd").write_bytes(head.encode() + pack(VOXELS.astype("<i2").tobytes()))
    picture = read_image(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(picture.array[..., 0], VOXELS)
    assert picture.geometry.spacing_mm == (2, 0.6, 0.5)
    # LPS (10, 20, 30) is RAS (-10, -20, 30); one column on is half a millimetre to the left.
    np.testing.assert_allclose(picture.geometry.affine @ [0, 0, 0, 1], [-10, -20, 30, 1])
    np.testing.assert_allclose(picture.geometry.affine @ [0, 0, 1, 1], [-10.5, -20, 30, 1])


def test_nrrd_big_endian_with_voxels_beside(tmp_path: Path) -> None:
    (tmp_path / "a.nhdr").write_text(
        HEAD.format("big", "raw", "data file: a.raw\nbyte skip: 3\nspacings: 1 2 3\n")
    )
    (tmp_path / "a.raw").write_bytes(b"xyz" + VOXELS.astype(">i2").tobytes())
    picture = read_image(tmp_path / "a.nhdr")
    np.testing.assert_array_equal(picture.array[..., 0], VOXELS)
    assert (picture.geometry.spacing_mm, picture.geometry.affine) == ((3, 2, 1), None)
    (tmp_path / "a.raw").unlink()
    with pytest.raises(DataError, match=r"a\.raw, which is not beside it"):
        read_image(tmp_path / "a.nhdr")


def test_nrrd_with_channels_side_by_side(tmp_path: Path) -> None:
    head = (
        "NRRD0005\ntype: uchar\ndimension: 4\nsizes: 2 4 3 2\nkinds: vector domain domain domain\n"
        "space: RAS\nspace directions: none (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nencoding: raw\n\n"
    )
    numbers = np.arange(48, dtype=np.uint8)
    (tmp_path / "c.nrrd").write_bytes(head.encode() + numbers.tobytes())
    image = read_image(tmp_path / "c.nrrd").array
    assert image.shape == (2, 3, 4, 2)
    np.testing.assert_array_equal(image[0, 0, 1], [2, 3])
    write_values(tmp_path / "m.nrrd", np.zeros((2, 3, 4), np.int64), like=tmp_path / "c.nrrd")
    assert b"space directions: (1,0,0) (0,1,0) (0,0,1)\n" in (tmp_path / "m.nrrd").read_bytes()


META = "ObjectType = Image\nNDims = 3\n{}DimSize = 4 3 2\nElementType = MET_SHORT\nElementDataFile = {}\n"
META_PLACE = "TransformMatrix = 0 1 0 -1 0 0 0 0 1\nOffset = 10 20 30\nElementSpacing = 0.5 0.6 2\n"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("beside", [False, True])
def test_metaimage(tmp_path: Path, packed: bool, beside: bool) -> None:
    fields = META_PLACE + ("CompressedData = True\n" if packed else "BinaryDataByteOrderMSB = True\n")
    data = zlib.compress(VOXELS.astype("<i2").tobytes()) if packed else VOXELS.astype(">i2").tobytes()
    head = META.format(fields, "a.raw" if beside else "LOCAL").encode()
    path = tmp_path / ("a.mhd" if beside else "a.mha")
    path.write_bytes(head if beside else head + data)
    (tmp_path / "a.raw").write_bytes(data)
    picture = read_image(path)
    np.testing.assert_array_equal(picture.array[..., 0], VOXELS)
    assert picture.geometry.spacing_mm == (2, 0.6, 0.5)
    # The first row of the matrix is the direction of x: along y of LPS, so half a millimetre to the back.
    np.testing.assert_allclose(picture.geometry.affine @ [0, 0, 1, 1], [-10, -20.5, 30, 1])
    np.testing.assert_allclose(picture.geometry.affine @ [0, 1, 0, 1], [-9.4, -20, 30, 1])


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_labels_keep_the_text_of_the_place(tmp_path: Path, suffix: str) -> None:
    image = tmp_path / f"a{suffix}"
    affine = np.diag([2.0, 0.6, 1 / 3, 1])[:, [2, 1, 0, 3]]
    write_volume(image, VOXELS[..., None], Geometry((2.0, 0.6, 1 / 3), affine))
    write_values(tmp_path / f"m{suffix}", (VOXELS > 0).astype(np.uint8), like=image)
    np.testing.assert_array_equal(read_values(tmp_path / f"m{suffix}"), VOXELS > 0)
    said = [line for line in image.read_bytes().split(b"\n") if b"0.3333333333333333" in line]
    assert said and all(line in (tmp_path / f"m{suffix}").read_bytes() for line in said)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.nrrd", b"", "empty"),
        ("a.nrrd", b"some text", "no NRRD"),
        ("a.nrrd", HEAD.format("little", "raw", PLACE).encode() + b"\0\0", "claims|cut off"),
        ("a.nrrd", HEAD.format("little", "hex", PLACE).encode() + b"\0" * 48, "hex"),
        ("a.nrrd", HEAD.format("little", "gzip", PLACE).encode() + gzip.compress(b"\0" * 48)[:-9], "cut off"),
        ("a.nrrd", b"NRRD0004\ntype: short\n\n", "lacks sizes, encoding"),
        (
            "a.nrrd",
            HEAD.format("little", "raw", PLACE).replace("0, 0.6, 0", "0,a,0").encode() + b"\0" * 48,
            "numbers",
        ),
        (
            "a.nrrd",
            HEAD.format("little", "raw", PLACE).replace("0, 0.6, 0", "0,0,0").encode() + b"\0" * 48,
            "singular",
        ),
        ("a.mha", b"", "empty"),
        ("a.mha", b"some text", "lacks DimSize"),
        ("a.mha", META.format("", "LOCAL").encode() + b"\0" * 47, "claims|cut off"),
        (
            "a.mha",
            META.format("CompressedData = True\n", "LOCAL").encode() + zlib.compress(b"\0" * 40),
            "cut off",
        ),
        ("a.mhd", META.format("", "slice%03d.raw 1 2 1").encode(), "several files"),
        ("a.mha", META.format("ElementSpacing = 0 1 1\n", "LOCAL").encode() + b"\0" * 48, "singular"),
        ("a.npz", b"PK\x03\x04 and no more", "cut off or damaged"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=said) as refused:
        read_image(tmp_path / name)
    assert name in str(refused.value)


def test_an_npz_of_two_volumes_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", image=VOXELS, label=VOXELS)
    with pytest.raises(DataError, match=r"image \(2, 3, 4\), label \(2, 3, 4\)"):
        read_image(tmp_path / "two.npz")


@pytest.mark.peer
@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz"])
def test_simpleitk_agrees(tmp_path: Path, suffix: str) -> None:
    sitk = pytest.importorskip("SimpleITK")
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    image = sitk.GetImageFromArray(VOXELS)
    image.SetSpacing((0.5, 0.6, 2)), image.SetOrigin((1, 2, 3)), image.SetDirection(rotation.ravel().tolist())
    sitk.WriteImage(image, str(tmp_path / f"s{suffix}"))
    picture = read_image(tmp_path / f"s{suffix}")
    np.testing.assert_array_equal(picture.array[..., 0], VOXELS)
    for index in ((0, 0, 0), (3, 2, 1)):
        lps = image.TransformIndexToPhysicalPoint(index)
        place = picture.geometry.affine @ [*reversed(index), 1]
        np.testing.assert_allclose(place[:3] * [-1, -1, 1], lps, atol=1e-5)
    write_volume(tmp_path / f"w{suffix}", VOXELS[..., None], picture.geometry)
    again = sitk.ReadImage(str(tmp_path / f"w{suffix}"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(again), VOXELS)
    np.testing.assert_allclose(again.GetOrigin(), image.GetOrigin(), atol=1e-5)
    np.testing.assert_allclose(again.GetDirection(), image.GetDirection(), atol=1e-5)
    np.testing.assert_allclose(again.GetSpacing(), image.GetSpacing(), atol=1e-6)
