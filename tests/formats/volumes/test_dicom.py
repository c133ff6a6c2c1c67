"""DICOM series written tag by tag: places, rescaling, missing slices, two series; segmentations."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import limner
from limner.core.errors import DataError
from limner.formats import open_source
from limner.images.volumes.dicom import read_series

pytest.importorskip("pydicom")

_spec = importlib.util.spec_from_file_location("examples", Path(__file__).parents[1] / "examples.py")
examples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(examples)
dicom, nifti = examples.dicom, examples.nifti

VOXELS = np.arange(4 * 3 * 5, dtype=np.int16).reshape(4, 3, 5)


def write(folder: Path, *, skip: tuple[int, ...] = (), **changes: bytes) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for z in range(4):
        if z not in skip:
            paths.append(folder / f"IM{(z * 7) % 5}.dcm")  # in another order than their places
            paths[-1].write_bytes(dicom(VOXELS[z], place=z, **changes))
    return paths


def test_slices_are_sorted_and_rescaled(tmp_path: Path) -> None:
    picture = read_series(write(tmp_path))
    np.testing.assert_array_equal(picture.array[..., 0], VOXELS * 2.0 - 1024)
    assert picture.geometry.spacing_mm == (2, 0.5, 0.25)
    # LPS (5, 6, 7) is RAS (-5, -6, 7); the next column is 0.25 mm to the left, the next slice 2 mm up.
    affine = picture.geometry.affine
    np.testing.assert_allclose(affine @ [0, 0, 0, 1], [-5, -6, 7, 1])
    np.testing.assert_allclose(affine @ [1, 2, 4, 1], [-6, -7, 9, 1])
    assert [path.name for path in picture.files] == ["IM0.dcm", "IM2.dcm", "IM4.dcm", "IM1.dcm"]


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda d: (d / "IM2.dcm").unlink(), "4 mm between IM0.dcm and IM4.dcm.*1 missing"),
        (lambda d: (d / "x.dcm").write_bytes(dicom(VOXELS[1], place=1)), "at the same place"),
        (lambda d: (d / "x.dcm").write_bytes(dicom(VOXELS[0], place=9, series="1.9")), "2 series: 4 slices"),
        (lambda d: (d / "IM2.dcm").write_bytes(dicom(VOXELS[1, :2], place=1)), "5x2 pixels"),
        (lambda d: (d / "IM2.dcm").write_bytes(dicom(VOXELS[1], place=1, axes=b"1\\0\\0\\0\\0\\1")), "axes"),
        (lambda d: (d / "IM2.dcm").write_bytes(dicom(VOXELS[1], place=1, rows=b"")), "without pixel data"),
        (lambda d: (d / "IM2.dcm").write_bytes(dicom(VOXELS[1], place=1, voxels=b"")), "without pixel data"),
        (
            lambda d: (d / "IM2.dcm").write_bytes(dicom(VOXELS[1], place=1, position=b"")),
            "ImagePositionPatient",
        ),
        (lambda d: (d / "IM2.dcm").write_bytes(dicom(VOXELS[1], place=1)[:-9]), "damaged"),
        (lambda d: (d / "IM2.dcm").write_bytes(b"some text"), "no DICOM"),
        (lambda d: write(d, axes=b"1\\0\\0"), "3 numbers of ImageOrientationPatient"),
        (lambda d: write(d, spacing=b"wide\\0.25"), "PixelSpacing that is no number|no DICOM"),
        (lambda d: write(d, spacing=b"  "), "no PixelSpacing"),
        (lambda d: write(d, axes=b"1\\0\\0\\1\\0\\0"), "which span no plane"),
        (lambda d: write(d, spacing=b"0\\0.25"), "which span no plane"),
        (
            lambda d: (d / "IM2.dcm").write_bytes(
                dicom(VOXELS[1], place=1, syntax=b"1.2.840.10008.1.2.4.70")
            ),
            "cannot be decoded|damaged",
        ),
    ],
)
def test_series_that_form_no_volume_are_named(tmp_path: Path, break_it, said: str) -> None:
    write(tmp_path)
    break_it(tmp_path)
    with pytest.raises(DataError, match=said) as refused:
        read_series(sorted(tmp_path.iterdir()))
    assert str(tmp_path) in str(refused.value)


def test_a_series_that_does_not_fit_in_memory_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("limner.images.volumes.dicom.available_bytes", lambda: 100)
    with pytest.raises(DataError, match="5x3x4 voxels by its headers") as refused:
        read_series(write(tmp_path))
    assert str(tmp_path) in str(refused.value)


def test_a_tilted_series_keeps_the_places_of_its_voxels(tmp_path: Path) -> None:
    for z in range(4):
        position = f"5\\{6 + 0.5 * z}\\{7 + 2 * z}".encode()
        (tmp_path / f"{z}.dcm").write_bytes(dicom(VOXELS[z], place=z, position=position))
    affine = read_series(sorted(tmp_path.iterdir())).geometry.affine
    np.testing.assert_allclose(affine @ [3, 0, 0, 1], [-5, -7.5, 13, 1])


def test_a_check_names_the_broken_series(tmp_path: Path) -> None:
    for case in ("a", "b"):
        write(tmp_path / "images" / case, skip=(1,) if case == "b" else ())
        labels = np.zeros((4, 3, 5), np.uint8)
        labels[1:3, 1:, 2:] = 1
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"{case}.nii.gz").write_bytes(nifti(labels))
    checked = limner.check(tmp_path)
    assert checked.source.name == "dicom-series"
    found = next(f for f in checked.findings if f.code == "image-unreadable")
    assert "images/b" in found.where
    assert "1 missing" in found.found
    assert "image-kind-not-read" not in {f.code for f in checked.findings}


def test_segmentations_are_written_and_read(tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    from limner.images.volumes.dicom_seg import write_segmentation

    files = write(tmp_path / "images" / "case")
    labels = np.zeros((4, 3, 5), np.uint8)
    labels[1:3, 1:, 2:], labels[2, 0, 0] = 1, 2
    write_segmentation(tmp_path / "labels" / "case" / "seg.dcm", labels, files, {1: "liver", 2: "spleen"})
    source = open_source(tmp_path)
    assert source.declared_labels().names == ("background", "liver", "spleen")
    np.testing.assert_array_equal(source.read_values(source.records[0]), labels)


def test_series_are_converted_with_their_labels(tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    for case in ("a", "b"):
        write(tmp_path / "in" / "images" / case)
        labels = np.zeros((4, 3, 5), np.uint8)
        labels[1:3, 1:, 2:] = 5
        labels[2, 0, 0] = 7 if case == "b" else 0
        (tmp_path / "in" / "labels").mkdir(exist_ok=True)
        np.savez(tmp_path / "in" / "labels" / f"{case}.npz", labels)
    settings = "classes: [{name: background, value: 0}, {name: liver, value: 5}, {name: spleen, value: 7}]\n"
    (tmp_path / "in" / "dataset.yaml").write_text(settings)
    limner.convert(tmp_path / "in", tmp_path / "seg", to="dicom-series")
    limner.convert(tmp_path / "seg", tmp_path / "back", to="paired-folders")
    first, again = open_source(tmp_path / "in"), open_source(tmp_path / "back")
    assert open_source(tmp_path / "seg").declared_labels().names == ("background", "liver", "spleen")
    for record, known in zip(again.records, first.records, strict=True):
        assert record.image.name.endswith(".nii.gz")
        expected, found = first.read_image(known), again.read_image(record)
        np.testing.assert_array_equal(found.array, expected.array)
        np.testing.assert_allclose(found.geometry.affine, expected.geometry.affine, atol=1e-6)
        values = np.array([0, 5, 7])[again.read_values(record)]
        np.testing.assert_array_equal(values, first.read_values(known))


def test_series_are_listed_for_prediction(tmp_path: Path) -> None:
    from limner.inference.image_paths import list_images

    for case in ("a", "b"):
        write(tmp_path / "scans" / case)
    found = list_images([tmp_path / "scans"])
    assert [(item.path.name, item.output) for item in found] == [("a", "a"), ("b", "b")]
    (alone,) = list_images([tmp_path / "scans" / "b"])
    assert alone.output == "b"


def test_segments_of_one_name_are_one_class_whatever_their_numbers(tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    from limner.images.volumes.dicom_seg import write_segmentation

    labels = np.zeros((4, 3, 5), np.uint8)
    labels[1, 1, 2:], labels[2, 0, 0] = 1, 2  # 3 voxels of the first segment, 1 of the second
    for case, names in (("a", {1: "liver", 2: "tumour"}), ("b", {1: "tumour", 2: "liver"})):
        files = write(tmp_path / "images" / case)
        write_segmentation(tmp_path / "labels" / case / "seg.dcm", labels, files, names)
    source = open_source(tmp_path)
    assert source.declared_labels().names == ("background", "liver", "tumour")
    counts = [np.bincount(source.read_values(record).ravel())[1:].tolist() for record in source.records]
    assert counts == [[3, 1], [1, 3]]
    (said,) = [f for f in source.findings if f.code == "categories-numbered-differently"]
    assert "segment 1 is 'tumour' here and 'liver' in another file" in said.found
    assert source.reading_state(source.records[0]) != source.reading_state(source.records[1])
