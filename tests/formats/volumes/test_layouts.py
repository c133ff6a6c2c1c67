"""Layouts of volumes: channels, regions, structures, gaps."""

import json
from pathlib import Path

import numpy as np
import pytest

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError
from limner.core.picture import Geometry
from limner.formats import open_source
from limner.formats.volumes.dataset_json import read_dataset_json
from limner.images.volumes.volume_writing import write_volume

SHAPE = (4, 6, 8)
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])[:, [2, 1, 0, 3]]
GEOMETRY = Geometry((2.0, 1.0, 1.0), AFFINE)
VOXELS = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)


def write(path: Path, voxels: np.ndarray, geometry: Geometry = GEOMETRY) -> None:
    write_volume(path, voxels[..., np.newaxis], geometry)


def label(*boxes: tuple[int, int]) -> np.ndarray:
    """Return labels with one slice of each (slice, value)."""
    labels = np.zeros(SHAPE, np.uint8)
    for place, value in boxes:
        labels[place] = value
    return labels


def test_volumes_are_paired_whatever_their_names(tmp_path: Path) -> None:
    for split, numbers in {"train": (1, 2), "test": (3,)}.items():
        for n in numbers:
            write(tmp_path / split / "source" / f"Case{n}.nii.gz", VOXELS)
            write(tmp_path / split / "label" / f"mask_case{n}.nii.gz", label((1, 1)))
    source = open_source(tmp_path)
    assert source.name == "paired-folders"
    assert [(r.name, r.split, r.labels[0].name) for r in source.records] == [
        ("source/Case1", "train", "mask_case1.nii.gz"),
        ("source/Case2", "train", "mask_case2.nii.gz"),
        ("source/Case3", "test", "mask_case3.nii.gz"),
    ] or [r.name for r in source.records] == ["Case1", "Case2", "Case3"]
    picture = source.read_image(source.records[0])
    assert picture.geometry.spacing_mm == (2, 1, 1)


def test_nnunet_channels_regions_and_ignored_label(tmp_path: Path) -> None:
    for n in (1, 2):
        write(tmp_path / "imagesTr" / f"b_{n}_0000.nii.gz", VOXELS)
        write(tmp_path / "imagesTr" / f"b_{n}_0001.nii.gz", VOXELS + 1000)
        write(tmp_path / "labelsTr" / f"b_{n}.nii.gz", label((0, 1), (1, 2), (2, 3), (3, 4)))
    write(tmp_path / "imagesTs" / "b_3_0000.nii.gz", VOXELS)
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4}
    content = {"channel_names": {"0": "T1", "1": "T2"}, "labels": labels, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    source = open_source(tmp_path)
    assert source.name == "nnunet-raw"
    first = next(record for record in source.records if record.name.endswith("b_1"))
    assert len(first.images) == 2
    image = source.read_image(first).array
    assert image.shape == (*SHAPE, 2)
    np.testing.assert_array_equal(image[..., 1], VOXELS + 1000)
    table = source.declared_labels()
    assert table.names == ("background", "whole", "core", "enhancing")
    assert table.trained_as == {0: 0, 1: 1, 2: 2, 3: 3, 4: 255}
    missing = next(f for f in source.findings if f.code == "channel-missing")
    assert (missing.severity.value, missing.where) == ("error", "imagesTs/b_3_0000.nii.gz")
    assert "_0001" in missing.found


def test_decathlon_names_come_from_its_json(tmp_path: Path) -> None:
    write(tmp_path / "imagesTr" / "h_1.nii.gz", VOXELS)
    write(tmp_path / "labelsTr" / "h_1.nii.gz", label((1, 1)))
    (tmp_path / "dataset.json").write_text(
        '{"labels": {"0": "background", "1": "Anterior", "2": "Posterior"}}'
    )
    source = open_source(tmp_path)
    assert source.name == "medical-decathlon"
    assert source.declared_labels().names == ("background", "Anterior", "Posterior")
    (tmp_path / "dataset.json").write_text('{"labels": {"1": {"a": 1}}}')
    with pytest.raises(DataError, match="dataset.json"):
        open_source(tmp_path)


def test_structures_are_merged_and_overlaps_said(tmp_path: Path) -> None:
    write(tmp_path / "s1" / "ct.nii.gz", VOXELS)
    write(tmp_path / "s1" / "segmentations" / "liver.nii.gz", label((0, 1), (1, 1)))
    write(tmp_path / "s1" / "segmentations" / "spleen.nii.gz", label((1, 1), (2, 1)))
    write(tmp_path / "s1" / "segmentations" / "ignore.nii.gz", label((3, 1)))
    source = open_source(tmp_path)
    (record,) = source.records
    table = source.declared_labels()
    assert table.names == ("background", "liver", "spleen")
    encoded = table.encode(source.read_values(record), where="s1")
    assert [int(encoded[z].max()) for z in range(4)] == [1, 2, 2, 255]
    (found,) = source.label_problems(record).findings(source.terms)
    assert found.code == "classes-overlap"
    assert "48 voxels" in found.found  # one slice of 6 x 8


def test_modalities_of_a_case(tmp_path: Path) -> None:
    for n in (1, 2, 3):
        for place, name in enumerate(("flair", "t1", "t1ce")):
            if (n, name) != (3, "t1ce"):
                write(tmp_path / f"BraTS_{n}" / f"BraTS_{n}_{name}.nii.gz", VOXELS + 1000 * place)
        write(tmp_path / f"BraTS_{n}" / f"BraTS_{n}_seg.nii.gz", label((1, 4)))
    source = open_source(tmp_path)
    assert source.name == "modality-folders"
    assert [len(record.images) for record in source.records] == [3, 3, 2]
    np.testing.assert_array_equal(source.read_image(source.records[0]).array[0, 0, 0], [0, 1000, 2000])
    assert any(f.code == "channel-missing" and "t1ce" in f.found for f in source.findings)


def test_bids_subjects_and_sessions(tmp_path: Path) -> None:
    for session in ("ses-1", "ses-2"):
        stem = f"sub-01_{session}"
        write(tmp_path / "sub-01" / session / "anat" / f"{stem}_T1w.nii.gz", VOXELS)
        place = tmp_path / "derivatives" / "manual" / "sub-01" / session / "anat"
        write(place / f"{stem}_space-orig_dseg.nii.gz", label((1, 2)))
        write(place / f"{stem}_label-L_mask.nii.gz", label((1, 1)))
    source = open_source(tmp_path)
    assert source.name == "bids"
    assert [record.name for record in source.records] == ["sub-01_ses-1", "sub-01_ses-2"]
    assert all(record.labels[0].name.endswith("dseg.nii.gz") for record in source.records)


def test_channels_on_other_grids_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "imagesTr" / "a_0000.nii.gz", VOXELS)
    moved = AFFINE.copy()
    moved[0, 3] = 5
    write(tmp_path / "imagesTr" / "a_0001.nii.gz", VOXELS, Geometry((2.0, 1.0, 1.0), moved))
    write(tmp_path / "labelsTr" / "a.nii.gz", label((1, 1)))
    (tmp_path / "dataset.json").write_text('{"labels": {"background": 0, "x": 1}}')
    source = open_source(tmp_path)
    with pytest.raises(DataError, match=r"a_0001(.|\n)*5 mm from the expected"):
        source.read_image(source.records[0])


def test_labels_are_moved_to_the_grid_of_their_image_only_if_asked(tmp_path: Path) -> None:
    write(tmp_path / "images" / "a.nii.gz", VOXELS)
    expected = (VOXELS % 5 == 0).astype(np.uint8)
    # The same labels with x reversed and z in the place of y: other axes, same places.
    stored = expected[:, :, ::-1].transpose(1, 0, 2)
    affine = AFFINE @ np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, SHAPE[2] - 1], [0, 0, 0, 1.0]])
    write(tmp_path / "labels" / "a.nii.gz", np.ascontiguousarray(stored), Geometry((1.0, 2.0, 1.0), affine))
    plain = open_source(tmp_path)
    assert plain.read_values(plain.records[0]).shape == (6, 4, 8)
    moved = open_source(tmp_path, DatasetFile(label_grid="resample"))
    np.testing.assert_array_equal(moved.read_values(moved.records[0]), expected)


def test_voxels_beside_their_header_are_no_unread_images(tmp_path: Path) -> None:
    head = (
        "ObjectType = Image\nNDims = 3\nDimSize = 8 6 4\nElementType = MET_UCHAR\nElementDataFile = a.raw\n"
    )
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.mhd").write_text(head)
        (tmp_path / folder / "a.raw").write_bytes(label((1, 1)).tobytes())
    source = open_source(tmp_path)
    np.testing.assert_array_equal(source.read_values(source.records[0]), label((1, 1)))
    assert {finding.code for finding in source.findings} == {"layout"}


@pytest.mark.parametrize("value", ["10000000000000000000", "-3000000000", "true", '"x"', "1.5", "[1, 1e20]"])
def test_labels_of_nnunet_that_no_mask_holds_are_refused(tmp_path, value):
    (tmp_path / "dataset.json").write_text(f'{{"labels": {{"background": 0, "organ": {value}}}}}')
    with pytest.raises(DataError, match="labels in dataset.json cannot be used"):
        read_dataset_json(tmp_path)


@pytest.mark.parametrize("labels", ['{"0": "background", "1": ""}', '{"background": 0, "": 1}'])
def test_a_label_without_a_name_is_refused(tmp_path, labels):
    (tmp_path / "dataset.json").write_text(f'{{"labels": {labels}}}')
    with pytest.raises(DataError, match="no name for the label") as caught:
        read_dataset_json(tmp_path)
    assert "dataset.json" in str(caught.value)


def test_the_numbers_of_structures_are_part_of_what_a_reading_depends_on(tmp_path: Path) -> None:
    for case in ("s1", "s2"):
        write(tmp_path / case / "ct.nii.gz", VOXELS)
        write(tmp_path / case / "segmentations" / "liver.nii.gz", label((0, 1), (1, 1)))
    before = open_source(tmp_path)
    assert before.declared_labels().names == ("background", "liver")
    write(tmp_path / "s2" / "segmentations" / "aorta.nii.gz", label((2, 1)))  # first in the alphabet
    after = open_source(tmp_path)
    assert np.unique(after.read_values(after.records[0])).tolist() == [0, 2]
    assert before.reading_state(before.records[0]) != after.reading_state(after.records[0])


def test_segments_of_dicom_are_matched_by_name(tmp_path: Path, monkeypatch) -> None:
    named = {"a": {1: "liver", 2: "tumour"}, "b": {1: "tumour"}, "c": {1: "", 2: "tumour"}}
    numbers = np.array([[[0, 1, 1, 2]]], np.uint8)
    for case in named:
        for place in ("images", "labels"):
            (tmp_path / place / case).mkdir(parents=True)
            (tmp_path / place / case / "1.dcm").write_bytes(b"")
    module = "limner.formats.volumes.dicom_series"
    monkeypatch.setattr(f"{module}.segment_names", lambda path: named[path.parent.name])
    monkeypatch.setattr(f"{module}.read_segmentation", lambda path, series: numbers)
    source = open_source(tmp_path)
    assert source.declared_labels().names == ("background", "liver", "tumour", "segment 1")
    found = [source.read_values(record).ravel().tolist() for record in source.records]
    assert found == [[0, 1, 1, 2], [0, 2, 2, 0], [0, 3, 3, 2]]  # b has no segment 2
    (said,) = [f for f in source.findings if f.code == "categories-numbered-differently"]
    assert (said.where, said.found) == (
        "labels/b/1.dcm",
        "segment 1 is 'tumour' here and 'liver' in another file",
    )
    named |= {"b": {2: "tumour"}, "c": {1: "liver", 2: "tumour"}}
    agreed = open_source(tmp_path)
    assert agreed.declared_labels().names == ("background", "liver", "tumour")
    assert agreed.read_values(agreed.records[1]) is numbers
