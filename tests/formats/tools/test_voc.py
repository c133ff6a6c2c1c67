from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.core.config import parse_config
from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError
from limner.formats import open_source
from limner.formats.tools.voc import Voc


def settings(**values: object) -> DatasetFile:
    return parse_config(DatasetFile, values, where="test")


def build(root: Path, stems: list[str], *, masks: str = "SegmentationClass", place: str = "") -> Path:
    for folder in ("JPEGImages", masks):
        (root / place / folder).mkdir(parents=True, exist_ok=True)
    for stem in stems:
        Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(root / place / "JPEGImages" / f"{stem}.jpg")
        mask = Image.fromarray(np.array([[0, 15, 255, 1, 2]] * 4, np.uint8), mode="P")
        mask.putpalette([7 * i % 256 for i in range(768)])
        mask.save(root / place / masks / f"{stem}.png")
    return root


def lists(root: Path, folder: str, **members: list[str]) -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name, stems in members.items():
        (root / folder / f"{name}.txt").write_text("\n".join(stems) + "\n")


@pytest.mark.parametrize("folder", ["ImageSets/Segmentation", "ImageSets"])
@pytest.mark.parametrize("masks", ["SegmentationClass", "SegmentationClassPNG"])
def test_reads_lists_and_indices(tmp_path: Path, folder: str, masks: str) -> None:
    root = build(tmp_path, ["a", "b", "c"], masks=masks)
    lists(root, folder, train=["a"], val=["b", "c"], trainval=["a", "b", "c"])
    source = open_source(root)
    assert isinstance(source, Voc)
    assert {r.name: r.split for r in source.records} == {"a": "train", "b": "val", "c": "val"}
    assert source.findings == ()
    assert source.read_values(source.records[0])[0].tolist() == [0, 15, 255, 1, 2]


def test_255_is_ignored_beside_the_users_classes(tmp_path: Path) -> None:
    root = build(tmp_path, ["a"])
    named = [{"name": f"class {v}", "value": v} for v in (0, 1, 2, 15)]
    table = open_source(root, settings(classes=named)).declared_labels()
    assert table is not None
    assert table.names == ("class 0", "class 1", "class 2", "class 15")
    assert table.ignored_values == (255,)


def test_names_are_only_guessed_for_the_challenge_itself(tmp_path: Path) -> None:
    assert open_source(build(tmp_path / "own", ["cells 1"])).declared_labels() is None
    table = open_source(build(tmp_path / "voc", ["2007_000032", "2011_000003"])).declared_labels()
    assert table is not None
    assert (table.names[0], table.names[15], table.num_classes) == ("background", "person", 21)


def test_class_list_of_labelme(tmp_path: Path) -> None:
    root = build(tmp_path, ["2011_000003"], place="data_dataset_voc")
    (root / "data_dataset_voc" / "class_names.txt").write_text("_background_\ncat\ndog\n")
    source = open_source(root)
    table = source.declared_labels()
    assert table is not None
    assert table.names == ("background", "cat", "dog")
    assert [r.name for r in source.records] == ["data_dataset_voc/2011_000003"]


def test_gaps(tmp_path: Path) -> None:
    root = build(tmp_path, ["a", "b", "c"])
    (root / "SegmentationClass" / "b.png").unlink()
    (root / "SegmentationClass" / "c.png").unlink()
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(root / "SegmentationClass" / "z.png")
    lists(root, "ImageSets/Segmentation", train=["a", "b"])
    source = open_source(root)
    assert [r.name for r in source.records] == ["a", "b"]  # c is in no list: VOC has thousands of such images
    assert {f.code: f.files for f in source.findings if f.files} == {
        "image-without-mask": ("JPEGImages/b.jpg",),
        "mask-without-image": ("SegmentationClass/z.png",),
        "image-in-no-split": ("JPEGImages/c.jpg",),
    }


def test_image_in_two_lists(tmp_path: Path) -> None:
    root = build(tmp_path, ["a", "b"])
    lists(root, "ImageSets", train=["a", "b"], val=["b"])
    with pytest.raises(DataError, match=r"two splits: b(.|\n)*train\.txt and in ImageSets/val\.txt"):
        open_source(root)
