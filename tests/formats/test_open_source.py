from pathlib import Path

import numpy as np
import pytest

from limner.core.config import parse_config
from limner.core.dataset_file import DatasetFile
from limner.core.errors import ConfigError, DataError, UnknownNameError
from limner.formats import FORMATS, open_source


def refusal(path: Path, settings: DatasetFile | None = None) -> str:
    with pytest.raises(DataError) as refused:
        open_source(path, settings)
    assert str(path) in str(refused.value)
    return str(refused.value)


def test_empty_folder(tmp_path: Path) -> None:
    assert "is empty" in refusal(tmp_path)


def test_missing_folder_names_what_exists(tmp_path: Path) -> None:
    (tmp_path / "nuclei").mkdir()
    message = refusal(tmp_path / "nucleii" / "train")
    assert "no such dataset folder" in message
    assert f"the nearest folder that exists is {tmp_path}" in message


def test_file_instead_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "image.png").touch()
    assert "a single file" in refusal(tmp_path / "image.png")


def test_images_alone(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    message = refusal(tmp_path)
    assert "1 image files (1 in photos)" in message
    assert all(name in message for name in FORMATS)


def test_names_that_do_not_fit(tmp_path: Path) -> None:
    for name in ("images/alpha.png", "masks/beta.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    message = refusal(tmp_path)
    assert "alpha.png" in message
    assert "beta.png" in message
    assert "no two names match" in message


def test_other_kinds_of_labels_are_named(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.json", "b.jpg", "b.json"):
        (tmp_path / name).touch()
    assert "2 JSON files" in refusal(tmp_path)


def test_unknown_format_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(UnknownNameError, match="did you mean 'paired-folders'"):
        open_source(tmp_path, parse_config(DatasetFile, {"format": "paired-folder"}, where="test"))


def test_settings_are_read_from_beside_the_data(tmp_path: Path) -> None:
    for name in ("images/a.png", "masks/a.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "dataset.yaml").write_text("classes: [background, polyp]\n")
    table = open_source(tmp_path).declared_labels()
    assert table is not None
    assert table.trained_as == {0: 0, 1: 1}
    (tmp_path / "dataset.yaml").write_text("clases: [background, polyp]\n")
    with pytest.raises(
        ConfigError, match=r"dataset\.yaml(.|\n)*clases: unknown key \(did you mean 'classes'"
    ):
        open_source(tmp_path)


def test_a_format_that_was_asked_for_and_is_not_there(tmp_path: Path) -> None:
    for name in ("images/a.png", "masks/a.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    message = refusal(tmp_path, parse_config(DatasetFile, {"format": "voc"}, where="test"))
    assert "JPEGImages" in message


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "x.json",
            '[{"image": "a.png", "label": [{"original_width": 9}], "annotation_id": 1}]',
            "JSON-MIN",
        ),
    ],
)
def test_an_export_of_another_kind_is_named(make_tree, name: str, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        open_source(make_tree({"a.png": np.zeros((4, 6, 3), np.uint8), name: text}))
