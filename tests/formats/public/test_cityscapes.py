import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.formats import open_source
from limner.formats.public.cityscapes import draw_polygons

TRAIN_IDS = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12}
TRAIN_IDS |= {26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18}
"""labelIds -> trainIds, copied by hand from the table in the dataset's paper and its scripts."""

PHOTO = np.zeros((5, 7, 3), np.uint8)
IDS = np.arange(35, dtype=np.uint8).reshape(5, 7) % 34


def files(kind: str, content: object, *, set_: str = "gtFine", split: str = "train") -> Mapping[str, object]:
    stem = f"{split}/aachen/aachen_000000_000019"
    suffix = "json" if kind == "polygons" else "png"
    return {
        f"leftImg8bit/{stem}_leftImg8bit.png": PHOTO,
        f"{set_}/{stem}_{set_}_{kind}.{suffix}": content,
        f"{set_}/{stem}_{set_}_color.png": PHOTO,
        f"{set_}/{stem}_{set_}_instanceIds.png": IDS,
    }


def encoded(root: Path) -> np.ndarray:
    source = open_source(root)
    assert source.name == "cityscapes"
    table = source.declared_labels()
    assert table is not None
    return table.encode(source.read_values(source.records[0]))


def test_label_ids_give_the_19_trained_classes(make_tree) -> None:
    root = make_tree(files("labelIds", IDS))
    expected = np.vectorize(lambda v: TRAIN_IDS.get(v, 255))(IDS)
    np.testing.assert_array_equal(encoded(root), expected)
    table = open_source(root).declared_labels()
    assert (table.names[0], table.names[13], table.names[18]) == ("road", "car", "bicycle")
    assert table.classes[13].color == (0, 0, 142)
    assert [c.name for c in table.classes if c.is_thing] == list(table.names[11:])  # person to bicycle
    (record,) = open_source(root).records
    assert (record.split, record.name) == ("train", "aachen_000000_000019_leftImg8bit")


def test_train_ids(make_tree) -> None:
    ids = np.array([[0, 18, 255], [3, 4, 5]], np.uint8)
    root = make_tree({**files("labelTrainIds", ids)})
    np.testing.assert_array_equal(encoded(root), ids)


def test_label_ids_win_over_train_ids_and_fine_over_coarse(make_tree) -> None:
    root = make_tree({**files("labelTrainIds", IDS), **files("labelIds", IDS, set_="gtCoarse")})
    assert "gtFine_labelTrainIds" in open_source(root).records[0].labels[0].name
    make_tree(files("labelIds", IDS))
    assert "gtFine_labelIds" in open_source(root).records[0].labels[0].name


def polygons(*objects: dict[str, object]) -> str:
    return json.dumps({"imgWidth": 7, "imgHeight": 5, "objects": list(objects)})


def box(label: str, left: int, top: int, right: int, bottom: int, **more: object) -> dict[str, object]:
    corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
    return {"label": label, "polygon": corners, **more}


def test_polygons_are_the_fallback(make_tree) -> None:
    text = polygons(
        box("road", 0, 0, 6, 4),
        box("cargroup", 1, 1, 2, 2),
        box("license plate", 1, 1, 1, 1),
        box("sky", 4, 0, 6, 1, deleted=1),
        box("person", 2, 2, 3, 3),
    )
    root = make_tree(files("polygons", text))
    expected = np.zeros((5, 7), np.uint8)
    expected[1:3, 1:3] = 13
    expected[2:4, 2:4] = 11
    np.testing.assert_array_equal(encoded(root), expected)
    assert not any(f.code == "image-without-mask" for f in open_source(root).findings)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"imgWidth": 3}', polygons(box("dragon", 0, 0, 1, 1)), polygons({"label": "car"})]
)
def test_broken_polygons_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x_gtFine_polygons.json"
    path.write_text(text)
    with pytest.raises(DataError, match="x_gtFine_polygons"):
        draw_polygons(path)


def test_blank_labels_of_the_test_images_count_as_none(make_tree) -> None:
    root = make_tree({**files("labelIds", IDS), **files("labelIds", IDS * 0 + 3, split="test")})
    source = open_source(root)
    assert {r.split: len(r.labels) for r in source.records} == {"test": 0, "train": 1}
    assert "split-unlabelled" in {f.code for f in source.findings}


def test_labels_of_test_images_that_hold_classes_are_kept(make_tree) -> None:
    root = make_tree({**files("labelIds", IDS), **files("labelIds", IDS, split="test")})
    assert all(r.labels for r in open_source(root).records)


@pytest.mark.parametrize("kind", ["labelIds", "labelTrainIds"])
def test_instance_ids_give_objects(make_tree, kind: str) -> None:
    # Road, two cars told apart, cars not told apart, and void.
    numbers = np.array([[7, 7, 26000, 26001], [7, 26, 26000, 0]], np.uint16)
    ids = np.array([[7, 7, 26, 26], [7, 26, 26, 0]], np.uint8)
    trained = np.vectorize(lambda v: TRAIN_IDS.get(v, 255))(ids).astype(np.uint8)
    stem = "aachen/aachen_000000_000019_gtFine"
    root = make_tree(
        {
            "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png": PHOTO[:2, :4],
            f"gtFine/train/{stem}_{kind}.png": ids if kind == "labelIds" else trained,
            f"gtFine/train/{stem}_instanceIds.png": numbers,
        }
    )
    source = open_source(root)
    assert "instance" in source.tasks
    table = source.declared_labels()
    segments = table.encode_segments(source.read_segments(source.records[0]))
    assert [table.names[label] for label in segments.labels] == ["road", "car", "car", "car"]
    assert segments.is_crowd.tolist() == [False, True, False, False]
    assert segments.areas.tolist() == [3, 1, 2, 1]
    (root / f"gtFine/train/{stem}_instanceIds.png").unlink()
    assert open_source(root).tasks == ("semantic",)
