"""What is said of folders that hold something else than images."""

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.formats import open_source

PHOTO = np.zeros((8, 8, 3), np.uint8)


def refusal(root) -> str:
    with pytest.raises(DataError) as error:
        open_source(root)
    return str(error.value)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["net.v2.pth"], ["model weights and no image", "1 file: net.v2.pth", "limner import FILE"]),
        (["a.SAFETENSORS", "b.onnx"], ["model weights", "2 files: a.SAFETENSORS, b.onnx"]),
        (["scan/1.dcm"], ["DICOM files", "1 file in scan/: 1.dcm", "labels/CASE.nii.gz"]),
    ],
)
def test_other_kinds_of_file_are_called_by_their_names(make_tree, files, words) -> None:
    said = refusal(make_tree(dict.fromkeys(files, b"x")))
    assert not [word for word in words if word not in said], said
    assert "paired-folders" not in said  # what they are not needs no list


def test_images_beside_them_are_named_with_the_layouts_that_are_known(make_tree) -> None:
    said = refusal(make_tree({"a.png": PHOTO, "b.png": PHOTO, "b.dcm": b"x", "labels.zip": b"x"}))
    assert "2 image files" in said and "1 DICOM files" in said and "1 ZIP archives" in said
    assert "images/ and masks/ with files of the same names" in said and "paired-folders, cvat" in said
    assert len(said.splitlines()) == 4  # what, found, expected, fix


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", '{"project": {"vid_list": []}, "metadata": {}}', "VIA 3 (export COCO"),
        ("a.ndjson", '{"data_row": {}, "projects": {}}', "Labelbox"),
        ("a.json", '{"item": {}, "annotations": [{"bounding_box": {}}]}', "V7 Darwin (export COCO"),
        ("a.manifest", '{"source-ref": "s3://x"}', "Ground Truth"),
        ("a.csv", "1,2\n", "1 CSV files"),
    ],
)
def test_exports_that_are_not_read_are_named(make_tree, name, text, said) -> None:
    assert said in refusal(make_tree({"a.png": PHOTO, "b.png": PHOTO, name: text}))


@pytest.mark.parametrize(
    ("name", "what"),
    [("net.pth", "model weights"), ("brain.nii.gz", "NIfTI volumes"), ("notes.txt", "a single file")],
)
def test_a_single_file_is_called_what_it_is(tmp_path, name, what) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert what in refusal(tmp_path / name)
