from pathlib import Path

import pytest

from limner.core.config import parse_config
from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError
from limner.formats import open_source
from limner.formats.source import Source


def settings(**values: object) -> DatasetFile:
    return parse_config(DatasetFile, values, where="test")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for n in range(6):
            (tmp_path / kind / f"my image {n}.png").touch()
    return tmp_path


def write(root: Path, name: str, *lines: str, start: str = "") -> None:
    (root / name).write_text(start + "\n".join(lines) + "\n", encoding="utf-8")


def splits(source: Source) -> list[str | None]:
    return [record.split for record in source.records]


@pytest.mark.parametrize(
    "line",
    ["my image {}", "my image {}.png", "images/my image {}.png", "images/my image {}", "./my image {}.png"],
)
def test_lists_beside_the_images_are_found(root: Path, line: str) -> None:
    write(root, "train.txt", *(line.format(n) for n in range(4)))
    write(root, "val.txt", *(line.format(n) for n in (4, 5)), start="\ufeff# chosen by hand\n\n")
    source = open_source(root)
    assert splits(source) == ["train"] * 4 + ["val"] * 2


def test_second_column_is_passed_over(tmp_path: Path) -> None:
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "a.png").touch()
    write(tmp_path, "train.txt", "images/a.png masks/a.png")
    assert splits(open_source(tmp_path)) == ["train"]


def test_settings_name_the_lists(root: Path) -> None:
    write(root, "mine.lst", "my image 0", "my image 1")
    write(root, "train.txt", "my image 5")  # what dataset.yaml says comes first
    write(root, "held out.txt", "my image 2")
    source = open_source(root, settings(splits={"train": "mine.lst", "test": "held out.txt"}))
    assert splits(source) == ["train", "train", "test", None, None, None]
    assert [(f.code, f.count) for f in source.findings if f.code != "layout"] == [("image-in-no-split", 3)]


def test_settings_name_folders(tmp_path: Path) -> None:
    for place in ("monday", "tuesday"):
        for kind in ("images", "masks"):
            (tmp_path / place / kind).mkdir(parents=True)
            (tmp_path / place / kind / "1.png").touch()
    source = open_source(tmp_path, settings(splits={"train": "monday", "val": "tuesday"}))
    assert {r.name: r.split for r in source.records} == {"monday/1": "train", "tuesday/1": "val"}


def test_fractions_leave_the_lists_alone(root: Path) -> None:
    write(root, "train.txt", "my image 0")
    assert splits(open_source(root, settings(splits={"val": 0.5}))) == [None] * 6


def test_an_image_in_two_lists(root: Path) -> None:
    write(root, "train.txt", "my image 0", "my image 1")
    write(root, "val.txt", "my image 1")
    with pytest.raises(DataError, match=r"two splits: my image 1(.|\n)*train\.txt and in val\.txt"):
        open_source(root)


def test_a_list_that_is_missing(root: Path) -> None:
    with pytest.raises(DataError, match=r"list is missing(.|\n)*nowhere\.txt"):
        open_source(root, settings(splits={"train": "nowhere.txt"}))


def test_a_list_that_names_nothing(root: Path) -> None:
    write(root, "mine.txt", "other 1", "other 2")
    with pytest.raises(DataError, match=r"train split holds no image(.|\n)*'other 1'"):
        open_source(root, settings(splits={"train": "mine.txt"}))


def test_unknown_names_are_told(root: Path) -> None:
    write(root, "train.txt", "my image 0", "gone")
    finding = next(f for f in open_source(root).findings if f.code == "split-names-unknown-image")
    assert finding.files == ("train.txt: gone",)
