"""Objects to other formats and back: the same masks wherever the other format can hold them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import limner
from limner.core.errors import DataError
from limner.formats import open_source
from limner.formats.drawn import runs_of_mask

HEIGHT, WIDTH = 60, 80
OF_MASKS = ("coco-instances", "coco-panoptic", "labelme", "yolo", "cvat", "label-studio")

Object = tuple[str, bool, bytes]


def objects_of(root: Path) -> dict[str, list[Object]]:
    """Image -> class, crowd and pixels of each object, whatever the format calls and numbers them."""
    source = open_source(root)
    table = source.declared_labels()
    assert table is not None
    found: dict[str, list[Object]] = {}
    for record in (r for r in source.records if r.labels):
        segments = table.encode_segments(source.read_segments(record))
        rows = zip(segments.each_mask(), segments.labels, segments.is_crowd, strict=True)
        found[record.image.stem.rpartition("_")[2]] = sorted(
            (table.names[label], bool(crowd), np.packbits(mask).tobytes())
            for mask, label, crowd in rows
            if label != table.background_index and mask.any()
        )
    return found


def write_images(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in names:
        pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")


def coco(root: Path, *annotations: dict[str, Any], images: int = 2) -> Path:
    names = [chr(ord("a") + n) for n in range(images)]
    write_images(root / "images", names)
    listed = [
        {"id": n, "file_name": f"{x}.png", "height": HEIGHT, "width": WIDTH} for n, x in enumerate(names)
    ]
    rows = [
        {"id": n, "image_id": 0, "category_id": 3, "iscrowd": 0} | row for n, row in enumerate(annotations)
    ]
    categories = [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}]
    content = {"images": listed, "annotations": rows, "categories": categories}
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_train.json").write_text(json.dumps(content))
    return root


def runs(mask: np.ndarray) -> dict[str, Any]:
    return {"counts": runs_of_mask(mask), "size": [HEIGHT, WIDTH]}


def blob(x: float, y: float, radius: float, corners: int = 17) -> list[float]:
    turns = np.arange(corners) / corners * 2 * np.pi
    radii = radius * (1 + 0.3 * np.sin(3 * turns))
    return np.stack([x + radii * np.cos(turns), y + radii * np.sin(turns)], 1).ravel().round(2).tolist()


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Polygons apart from each other, and an image without an object."""
    rows = [{"segmentation": [blob(20, 20, 11)]}, {"segmentation": [blob(55, 30, 14)], "category_id": 7}]
    return coco(tmp_path / "plain", *rows, {"segmentation": [blob(20, 45, 7)], "image_id": 1}, images=3)


@pytest.fixture
def hard(tmp_path: Path) -> Path:
    """A ring with an island as runs, two parts, objects on each other, and a crowd."""
    ring = np.zeros((HEIGHT, WIDTH), bool)
    ring[5:30, 5:30], ring[10:25, 10:25], ring[15:20, 15:20] = True, False, True
    crowd = np.random.default_rng(1).random((HEIGHT, WIDTH)) < 0.05
    return coco(
        tmp_path / "hard",
        {"segmentation": runs(ring)},
        {"segmentation": [blob(40, 45, 6), blob(60, 45, 6)], "category_id": 7},
        {"segmentation": [blob(55, 20, 12)]},
        {"segmentation": [blob(60, 22, 9)]},
        {"segmentation": runs(crowd), "iscrowd": 1, "image_id": 1},
    )


@pytest.mark.parametrize("to", OF_MASKS)
def test_plain_objects_come_back_the_same_through_every_format(plain, tmp_path, to: str) -> None:
    done = limner.convert(plain, tmp_path / "there", to=to)
    assert (done.num_images, done.losses) == (3, ())
    assert open_source(tmp_path / "there").name == to
    limner.convert(tmp_path / "there", tmp_path / "back", to="coco-instances")
    there, back = objects_of(tmp_path / "there"), objects_of(tmp_path / "back")
    assert there == objects_of(plain) == back
    assert {r.split for r in open_source(tmp_path / "back").records} == {"train", "val"}  # one is drawn
    assert limner.check(tmp_path / "back").labels.names == limner.check(plain).labels.names


@pytest.mark.parametrize("to", ["coco-instances", "labelme"])
def test_hard_objects_come_back_the_same_where_nothing_is_said_to_be_lost(hard, tmp_path, to: str) -> None:
    assert limner.convert(hard, tmp_path / "there", to=to).losses == ()
    limner.convert(tmp_path / "there", tmp_path / "back", to="coco-instances")
    assert objects_of(tmp_path / "back") == objects_of(tmp_path / "there") == objects_of(hard)


@pytest.mark.parametrize("to", ["cvat", "label-studio"])
def test_hard_objects_come_back_the_same_but_for_the_mark_of_crowds(hard, tmp_path, to: str) -> None:
    (loss,) = limner.convert(hard, tmp_path / "there", to=to, lossy=True).losses
    assert loss.trait == "crowd"
    without = {
        image: [(name, False, mask) for name, _, mask in rows] for image, rows in objects_of(hard).items()
    }
    assert objects_of(tmp_path / "there") == without


LOST = {
    "coco-panoptic": {"overlaps": 1},
    "yolo": {"holes": 1, "several-parts": 2, "crowd": 1},
    "voc-boxes": {"masks": 2, "crowd": 1},
    "paired-folders": {"instances": 2},
}


@pytest.mark.parametrize("to", LOST)
def test_what_is_lost_is_counted_first(hard, tmp_path, to: str) -> None:
    with pytest.raises(DataError, match="--lossy"):
        limner.convert(hard, tmp_path / "there", to=to)
    assert not (tmp_path / "there").exists()
    done = limner.convert(hard, tmp_path / "there", to=to, lossy=True)
    assert {loss.trait: len(loss.files) for loss in done.losses} == LOST[to]
    assert done.num_images == 2
    assert not limner.check(tmp_path / "there").errors


def test_flags_and_ignored_regions(tmp_path) -> None:
    root = tmp_path / "labelme"
    write_images(root, ["a", "b"])
    box = [[10, 10], [30, 30]]
    shapes = [
        {"label": "cat", "points": box, "shape_type": "rectangle", "flags": {"difficult": True}},
        {"label": "dog", "points": [[50, 30], [60, 30]], "shape_type": "circle", "flags": {"crowd": True}},
        {"label": "__ignore__", "points": [[40, 5], [70, 5], [70, 15]], "shape_type": "polygon", "flags": {}},
    ]
    content = {"shapes": shapes, "imagePath": "a.png", "imageHeight": HEIGHT, "imageWidth": WIDTH}
    (root / "a.json").write_text(json.dumps(content))
    assert limner.convert(root, tmp_path / "same", to="labelme").losses == ()
    assert objects_of(tmp_path / "same")["a"] == objects_of(root)["a"]
    (first, *_) = open_source(tmp_path / "same").read_objects(open_source(tmp_path / "same").records[0])
    assert first.is_difficult
    assert limner.check(tmp_path / "same").facts.value_counts == limner.check(root).facts.value_counts
    with pytest.raises(DataError, match=r"difficult(.|\n)*ignored(.|\n)*no mask"):
        limner.convert(root, tmp_path / "coco", to="coco-instances")
    done = limner.convert(root, tmp_path / "coco", to="coco-instances", lossy=True)
    assert done.num_images == 1


def test_panoptic_regions_and_void_survive_other_formats(tmp_path) -> None:
    root = tmp_path / "panoptic"
    write_images(root / "images", ["a"])
    rng = np.random.default_rng(0)
    ids = np.kron(rng.integers(0, 4, (6, 8)), np.ones((10, 10), int))  # 0 is void
    (root / "panoptic").mkdir()
    Image.fromarray((ids[..., None] * np.array([1, 0, 0])).astype(np.uint8)).save(root / "panoptic" / "a.png")
    infos = [
        {"id": 1, "category_id": 5},
        {"id": 2, "category_id": 5, "iscrowd": 1},
        {"id": 3, "category_id": 9},
    ]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
        "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": infos}],
        "categories": [{"id": 5, "name": "cat", "isthing": 1}, {"id": 9, "name": "sky", "isthing": 0}],
    }
    (root / "panoptic.json").write_text(json.dumps(content))
    for to in ("coco-instances", "labelme", "coco-panoptic"):
        assert limner.convert(root, tmp_path / to, to=to).losses == ()
        assert objects_of(tmp_path / to) == objects_of(root)
        limner.convert(tmp_path / to, tmp_path / f"{to}-back", to="coco-panoptic")
        again = limner.check(tmp_path / f"{to}-back")
        assert again.labels.is_thing.tolist() == [True, False]
        before = limner.check(root)
        encoded = [c.labels.encode(c.source.read_values(c.source.records[0])) for c in (before, again)]
        np.testing.assert_array_equal(*encoded)


def test_label_maps_give_an_object_a_class(tmp_path) -> None:
    root = tmp_path / "maps"
    write_images(root / "images", ["a", "b"])
    (root / "masks").mkdir()
    for n, name in enumerate("ab"):
        values = np.kron(np.random.default_rng(n).integers(0, 3, (6, 8)), np.ones((10, 10))).astype(np.uint8)
        Image.fromarray(values).save(root / "masks" / f"{name}.png")
    (root / "dataset.yaml").write_text("classes: [background, cat, dog]")
    for to in ("coco-instances", "coco-panoptic", "labelme", "cvat", "label-studio"):
        limner.convert(root, tmp_path / to, to=to)
        limner.convert(tmp_path / to, tmp_path / f"{to}-back", to="paired-folders", lossy=True)
        for name in "ab":
            before = np.asarray(Image.open(root / "masks" / f"{name}.png"))
            (after,) = (tmp_path / f"{to}-back" / "masks").glob(f"*{name}.png")
            np.testing.assert_array_equal(np.asarray(Image.open(after)), before)


BOX_FORMATS = ("voc-boxes", "yolo", "coco-instances", "labelme", "cvat", "label-studio")


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    rows = [{"bbox": [10, 10, 20.5, 30]}, {"bbox": [0, 0, 80, 60], "category_id": 7}, {"bbox": [5, 5, 1, 9]}]
    return coco(tmp_path / "boxes", *rows, {"bbox": [30, 30, 40, 20], "image_id": 1})


@pytest.mark.parametrize("to", BOX_FORMATS)
def test_boxes_come_back_through_every_format(boxes, tmp_path, to: str) -> None:
    assert limner.convert(boxes, tmp_path / "there", to=to).losses == ()
    limner.convert(tmp_path / "there", tmp_path / "back", to="coco-instances")
    first, last = open_source(boxes), open_source(tmp_path / "back")
    assert last.tasks == ("detection",)
    for one, other in zip(first.records, last.records, strict=True):
        before, after = first.read_boxes(one), last.read_boxes(other)
        np.testing.assert_allclose(after.xyxy, before.xyxy, atol=0.01)
        names = [s.declared_labels().names for s in (first, last)]
        assert names[0] == names[1]
        assert len(before) == len(after)


@pytest.mark.parametrize("to", ["coco-panoptic", "paired-folders", "voc"])
def test_boxes_are_not_made_into_masks(boxes, tmp_path, to: str) -> None:
    with pytest.raises(DataError, match=r"labels are boxes(.|\n)*voc-boxes"):
        limner.convert(boxes, tmp_path / "there", to=to, lossy=True)


def areas_and_overlap(root: Path, other: Path) -> list[tuple[int, float]]:
    """Of each true object: its area, and the best overlap (IoU) with an object of the other folder."""
    here, there = open_source(root), open_source(other)
    by_name = {r.image.stem: r for r in there.records}
    found = []
    for record in here.records:
        masks = [m for m, v in _masks(here, record) if v]
        others = [(m, m.sum()) for m, v in _masks(there, by_name[record.image.stem]) if v]
        for mask in masks:
            area, box = mask.sum(), tuple(slice(side.min(), side.max() + 1) for side in mask.nonzero())
            common = [((mask[box] & other[box]).sum(), size) for other, size in others]
            best = max((both / (area + size - both) for both, size in common), default=0.0)
            found.append((int(area), float(best)))
    return found


def _masks(source: Any, record: Any) -> list[tuple[np.ndarray, bool]]:
    segments = source.read_segments(record)
    table = source.declared_labels()
    rows = zip(segments.each_mask(), segments.labels, strict=True)
    kept = {v for c in table.classes if c.name != "background" for v in c.values}
    return [(mask, label in kept and bool(mask.any())) for mask, label in rows]


@pytest.mark.parametrize("to", ["labelme", "coco-instances"])
@pytest.mark.parametrize(
    "name", ["coco_instances", "coco_panoptic", "labelme/instance_segmentation/data_annotated"]
)
def test_real_objects_keep_their_masks(shared_data: Path, tmp_path, name: str, to: str) -> None:
    limner.convert(shared_data / name, tmp_path / "there", to=to, lossy=True)
    for area, overlap in areas_and_overlap(shared_data / name, tmp_path / "there"):
        assert overlap == 1 or (area <= 100 and overlap > 0.5)


def test_real_polygons_through_yolo(shared_data: Path, tmp_path) -> None:
    folder = shared_data / "labelme/instance_segmentation/data_annotated"
    done = limner.convert(folder, tmp_path / "there", to="yolo", lossy=True)
    assert {loss.trait for loss in done.losses} == {"holes", "several-parts", "ignored"}
    found = areas_and_overlap(folder, tmp_path / "there")
    # All but the two objects of several parts, which are said to be taken apart.
    assert sum(overlap >= 0.99 for area, overlap in found if area > 100) >= len(found) - 2


def test_real_boxes_through_yolo(shared_data: Path, tmp_path) -> None:
    small = tmp_path / "cells"
    for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "xml")):
        (small / kind).mkdir(parents=True)
        for n in (338, 343, 1):  # two of them have a box of zero size
            name = f"{kind}/BloodImage_{n:05}.{suffix}"
            (small / name).write_bytes((shared_data / "blood_cells" / name).read_bytes())
    limner.convert(small, tmp_path / "yolo", to="yolo")
    limner.convert(tmp_path / "yolo", tmp_path / "back", to="voc-boxes")
    first, last = open_source(small), open_source(tmp_path / "back")
    for one, other in zip(first.records, last.records, strict=True):
        np.testing.assert_allclose(last.read_boxes(other).xyxy, first.read_boxes(one).xyxy, atol=0.01)


def test_words_become_objects_and_what_they_say_is_counted(tmp_path: Path) -> None:
    source = tmp_path / "words"
    write_images(source, ["a", "b"])
    # Side by side, so that a map of text could not tell them apart: 10 x 20 and 10 x 20 pixels.
    words = ["10,10,30,10,30,20,10,20,one", "30,10,50,10,50,20,30,20,two", "5,40,25,40,25,50,5,50,###"]
    for name in "ab":
        (source / f"gt_{name}.txt").write_text("\n".join(words))
    with pytest.raises(DataError, match=r"transcriptions of words \(2 images, such as a.png\)"):
        limner.convert(source, tmp_path / "none", to="labelme")
    limner.convert(source, tmp_path / "labelme", to="labelme", lossy=True)
    opened = open_source(tmp_path / "labelme")
    (before, *_), (after, *_) = open_source(source).records, opened.records
    np.testing.assert_array_equal(open_source(source).read_values(before), opened.read_values(after))
    texts = [row for row in objects_of(tmp_path / "labelme")["a"] if row[0] == "text"]
    assert [np.unpackbits(np.frombuffer(pixels, np.uint8)).sum() for _, _, pixels in texts] == [200, 200]


def test_an_image_that_the_panoptic_json_lists_without_an_annotation(tmp_path: Path) -> None:
    source = tmp_path / "masks"
    write_images(source / "images", ["a", "b"])
    (source / "masks").mkdir()
    Image.fromarray(np.eye(HEIGHT, WIDTH, dtype=np.uint8)).save(source / "masks" / "a.png")
    limner.convert(source, tmp_path / "panoptic", to="coco-panoptic")
    checked = limner.check(tmp_path / "panoptic")
    assert [(image.name[-1], image.is_labelled) for image in checked.facts.images] == [
        ("a", True),
        ("b", False),
    ]


SQUARE = [10, 10, 30, 10, 30, 20, 10, 20]


def test_what_reading_leaves_out_is_said_and_objects_of_no_class_need_a_word(tmp_path: Path) -> None:
    good = {"segmentation": [SQUARE]}
    thin = {"segmentation": [[1, 1, 9, 9]]}
    root = coco(tmp_path / "thin", good, thin, thin)
    (loss,) = limner.convert(root, tmp_path / "a", to="labelme").losses
    assert (loss.trait, loss.count) == ("defects", 2)
    assert "(2, such as annotations/instances_train.json, annotation 1" in str(loss)
    root = coco(tmp_path / "unknown", good, {**good, "category_id": 99})
    with pytest.raises(DataError, match=r"not defined \(1, such as .*\n.*--mend"):
        limner.convert(root, tmp_path / "b", to="labelme")
    assert not (tmp_path / "b").exists()
    (loss,) = limner.convert(root, tmp_path / "b", to="labelme", mend=True).losses
    assert loss.trait == "unknown-classes"
    assert len(objects_of(tmp_path / "b")["a"]) == 1


@pytest.mark.parametrize("to", ["coco-instances", "labelme", "yolo", "voc-boxes"])
def test_mending_writes_an_object_once(tmp_path: Path, to: str) -> None:
    box = {"segmentation": [], "bbox": [10, 10, 20, 10]}
    near = {"segmentation": [], "bbox": [10, 10.4, 20, 10]}
    other = {"segmentation": [], "bbox": [40, 10, 20, 10]}
    root = coco(tmp_path / "boxes", box, near, other, {**box, "category_id": 7})
    plain = limner.convert(root, tmp_path / "plain", to=to)
    mended = limner.convert(root, tmp_path / "mended", to=to, mend=True)
    assert [(loss.trait, loss.count) for loss in mended.losses] == [("repeated", 1)]
    assert plain.losses == ()
    counts = []
    for folder in ("plain", "mended"):
        source = open_source(tmp_path / folder)
        counts.append(sum(len(source.read_boxes(record)) for record in source.records if record.labels))
    assert counts == [4, 3]
