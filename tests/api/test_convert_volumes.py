"""Conversion of volumes: round trips keep voxels, types, affines and classes."""

from pathlib import Path

import numpy as np
import pytest

import limner
from limner.core.errors import DataError
from limner.core.picture import Geometry
from limner.formats import open_source
from limner.images.pixels import read_pixels
from limner.images.volumes.volume_writing import write_volume

SHAPE = (9, 10, 11)
TURNED = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
AFFINE = np.eye(4)
AFFINE[:3, :3], AFFINE[:3, 3] = TURNED * [3.0, 0.7, 0.6], (1.5, -2.25, 3.125)


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    place = Geometry((3.0, 0.7, 0.6), AFFINE)
    for n in range(3):
        split = "test" if n == 2 else "train"
        labels = np.zeros(SHAPE, np.uint8)
        labels[2:6, 3:7, 3 + n : 8], labels[3:5, 4:6, 5:7] = 4, 9
        image = rng.integers(-1000, 2000, (*SHAPE, 2)).astype(np.int16)
        write_volume(tmp_path / "in" / split / "images" / f"c{n}.nii.gz", image, place)
        write_volume(tmp_path / "in" / split / "labels" / f"c{n}.nii.gz", labels[..., None], place)
    settings = "classes: [{name: background, value: 0}, {name: liver, value: 4}, {name: spleen, value: 9}]\n"
    (tmp_path / "in" / "dataset.yaml").write_text(settings)
    return tmp_path / "in"


@pytest.mark.parametrize(
    ("to", "suffix"),
    [
        ("paired-folders", None),
        ("paired-folders", ".nrrd"),
        ("paired-folders", ".mha"),
        ("paired-folders", ".npz"),
        ("nnunet-raw", None),
        ("nnunet-raw", ".nrrd"),
    ],
)
def test_round_trips(cases: Path, tmp_path: Path, to: str, suffix: str | None) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    limner.convert(cases, there, to=to, suffix=suffix)
    assert open_source(there).name == to
    assert suffix is None or all(path.name.endswith(suffix) for path in (there / "labels").rglob("*.n*"))
    limner.convert(there, back, to="paired-folders", suffix=".nii.gz")
    first, again = open_source(cases), open_source(back)
    for record in again.records:
        name = record.image.name
        original = next(r for r in first.records if r.image.name == name)
        (voxels, header), (expected, known) = read_pixels(record.image), read_pixels(original.image)
        assert voxels.dtype == expected.dtype
        np.testing.assert_array_equal(voxels, expected)
        np.testing.assert_allclose(header.geometry.affine, known.geometry.affine, atol=1e-6)
        values = np.array([0, 4, 9])[again.read_values(record)]
        np.testing.assert_array_equal(values, first.read_values(original))
    assert again.declared_labels().names == ("background", "liver", "spleen")
    assert again.records[2].split == "test"
    assert {record.split for record in again.records} == {"train", "val", "test"}  # limner drew val


def test_structure_masks_and_back(cases: Path, tmp_path: Path) -> None:
    limner.convert(cases, tmp_path / "there", to="structure-masks")
    assert (tmp_path / "there" / "c0" / "segmentations" / "liver.nii.gz").is_file()
    source = open_source(tmp_path / "there")
    assert source.declared_labels().names == ("background", "liver", "spleen")
    original = open_source(cases)
    for record, known in zip(source.records, original.records, strict=True):
        values = np.array([0, 4, 9])[source.read_values(record)]
        np.testing.assert_array_equal(values, original.read_values(known))


@pytest.mark.parametrize("to", ["coco-instances", "voc"])
def test_formats_of_images_refuse_volumes(cases: Path, tmp_path: Path, to: str) -> None:
    with pytest.raises(DataError, match=r"stores no volumes(.|\n)*nnunet-raw"):
        limner.convert(cases, tmp_path / "there", to=to)
    assert not (tmp_path / "there").exists()


def test_formats_of_volumes_refuse_images(cells: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="stores no images"):
        limner.convert(cells, tmp_path / "there", to="nnunet-raw")
