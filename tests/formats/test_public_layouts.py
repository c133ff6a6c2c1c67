"""Layouts of public datasets that are told by names and need no reading of their own."""

import json

import numpy as np
import pytest
from PIL import Image

from limner.core.errors import DataError
from limner.core.labels import LabelTable
from limner.formats import open_source
from limner.formats.source import Source

PHOTO = np.zeros((4, 6, 3), np.uint8)
VALUES = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 255], [0, 0, 0]], np.uint8).repeat(2, axis=1)
TWO = (VALUES > 3).astype(np.uint8) * 255


def labels(source: Source) -> LabelTable:
    table = source.declared_labels()
    assert table is not None
    return table


def splits(source: Source) -> dict[str, str | None]:
    return {record.name: record.split for record in source.records}


@pytest.mark.parametrize("with_list", [True, False])
def test_ade20k(make_tree, with_list: bool) -> None:
    stems = ("training/ADE_train_00000001", "validation/ADE_val_00000001")
    tree: dict[str, object] = {f"images/{stem}.jpg": PHOTO for stem in stems}
    tree |= {f"annotations/{stem}.png": VALUES for stem in stems}
    tree |= {f"annotations_instance/{stem}.png": PHOTO for stem in stems}
    if with_list:
        tree["objectInfo150.txt"] = "Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.15\t11664\t1172\t1\twall\n"
    source = open_source(make_tree(tree))
    assert source.name == "ade20k"
    assert splits(source) == {"ADE_train_00000001": "train", "ADE_val_00000001": "val"}
    table = labels(source)
    assert (table.num_classes, table.names[0], table.names[12], table.names[149]) == (
        *(150, "wall", "person"),
        "flag",
    )
    assert table.trained_as[0] == 255
    assert table.trained_as[1] == 0
    assert table.classes[0].color == (120, 120, 120)
    assert "annotations/" in source.records[0].labels[0].as_posix()


def mapillary_config(*rows: tuple[str, bool]) -> str:
    colors = [[i, 2 * i, 3 * i] for i in range(len(rows))]
    return json.dumps(
        {
            "labels": [
                {"color": c, "instances": "animal" in n, "readable": n, "name": n, "evaluate": e}
                for c, (n, e) in zip(colors, rows, strict=True)
            ],
            "version": 1.1,
        }
    )


V1 = mapillary_config(("animal--bird", True), ("construction--wall", True), ("void--unlabeled", False))
V2 = mapillary_config(("animal--bird", True), ("void--car-mount", False), ("nature--snow", True))


def test_mapillary_vistas_1_2(make_tree) -> None:
    tree = {"config.json": V1, "training/images/a.jpg": PHOTO, "training/labels/a.png": VALUES}
    tree |= {"training/instances/a.png": VALUES, "validation/images/b.jpg": PHOTO}
    tree |= {"validation/labels/b.png": VALUES, "testing/images/c.jpg": PHOTO}
    source = open_source(make_tree(tree))
    assert source.name == "mapillary-vistas-1.2"
    assert splits(source) == {"a": "train", "b": "val", "c": "test"}
    table = labels(source)
    assert table.names == ("animal--bird", "construction--wall")
    assert table.ignored_values == (2,)
    assert [c.is_thing for c in table.classes] == [True, False]
    assert table.classes[1].color == (1, 2, 3)


def test_mapillary_vistas_2_holds_both_versions(make_tree) -> None:
    tree = {"config_v1.2.json": V1, "config_v2.0.json": V2, "training/images/a.jpg": PHOTO}
    tree |= {"training/v1.2/labels/a.png": 0 * VALUES, "training/v2.0/labels/a.png": VALUES}
    root = make_tree(tree)
    source = open_source(root)
    assert source.name == "mapillary-vistas"
    assert labels(source).trained_as == {0: 0, 2: 1, 1: 255}
    assert source.records[0].labels[0].parts[-3:-1] == ("v2.0", "labels")
    (root / "dataset.yaml").write_text("format: mapillary-vistas-1.2\n")
    old = open_source(root)
    assert labels(old).names == ("animal--bird", "construction--wall")
    assert old.records[0].labels[0].parts[-3:-1] == ("v1.2", "labels")


def test_a_broken_configuration_is_named(make_tree) -> None:
    tree = {"config.json": "{}", "training/images/a.jpg": PHOTO, "training/labels/a.png": VALUES}
    with pytest.raises(DataError, match=r"Mapillary Vistas cannot be read: .*config\.json"):
        open_source(make_tree(tree))


@pytest.mark.parametrize("folder", ["stuffthingmaps", "annotations"])
def test_coco_stuff(make_tree, folder: str) -> None:
    tree = {f"images/{s}2017/00000000000{n}.jpg": PHOTO for n, s in enumerate(("train", "val"))}
    tree |= {f"{folder}/{s}2017/00000000000{n}.png": VALUES for n, s in enumerate(("train", "val"))}
    source = open_source(make_tree(tree))
    assert source.name == "coco-stuff"
    assert splits(source) == {"000000000000": "train", "000000000001": "val"}
    table = labels(source)
    by_name = {c.name: c for c in table.classes}
    # The authors number person 1, stop sign 13, banner 92 and wood 182; their PNG files hold one less.
    assert [by_name[n].values for n in ("person", "stop sign", "banner", "wood")] == [
        *((0,), (12,)),
        *((91,), (181,)),
    ]
    assert (table.num_classes, table.ignored_values) == (171, (255,))
    assert (by_name["person"].is_thing, by_name["wood"].is_thing) == (True, False)


def test_coco_stuff_without_gaps(make_tree) -> None:
    tree = {"images/train2017/000000000009.jpg": PHOTO}
    tree |= {f"annotations/train2017/000000000009{end}.png": VALUES for end in ("", "_labelTrainIds")}
    source = open_source(make_tree(tree))
    assert source.records[0].labels[0].name == "000000000009_labelTrainIds.png"
    assert labels(source).classes[-1].values == (170,)


def test_camvid_ignores_void(make_tree) -> None:
    tree: dict[str, object] = {}
    for split, name in (("train", "0001TP_006690"), ("train", "0006R0_f00930"), ("test", "Seq05VD_f05100")):
        tree[f"{split}/{name}.png"] = PHOTO
        tree[f"{split}annot/{name}.png"] = np.where(VALUES > 11, 11, VALUES).astype(np.uint8)
    source = open_source(make_tree(tree))
    assert source.name == "camvid"
    assert sorted(map(str, splits(source).values())) == ["test", "train", "train"]
    table = labels(source)
    assert (table.num_classes, table.names[3], table.trained_as[11]) == (11, "road", 255)
    # CamVid's own label_colors.txt: "128 64 128 Road", "0 128 192 Bicyclist".
    assert (table.classes[3].color, table.classes[10].color) == ((128, 64, 128), (0, 128, 192))


@pytest.mark.parametrize(
    "settings", ["classes: [{name: void, value: 0}, {name: car, value: 1}]", "ignored: []"]
)
def test_what_is_written_comes_before_what_camvid_says(make_tree, settings: str) -> None:
    tree: dict[str, object] = {"dataset.yaml": settings}
    for name in ("0016E5_00390", "0016E5_00420"):
        tree |= {f"train/{name}.png": PHOTO, f"trainannot/{name}.png": TWO // 255}
    table = labels(open_source(make_tree(tree)))
    assert table.names == (("void", "car") if "void" in settings else table.names)
    assert table.trained_as[11] == 255


def test_frames_of_camvid_in_other_folders_are_no_camvid(make_tree) -> None:
    tree: dict[str, object] = {f"images/0016E5_0039{n}.png": PHOTO for n in range(2)}
    tree |= {f"masks/0016E5_0039{n}.png": TWO // 255 for n in range(2)}
    assert open_source(make_tree(tree)).name == "paired-folders"


def test_kvasir_by_names_and_noise(make_tree) -> None:
    stems = ("cju0qkwl35piu0993l0dewei2", "cju0qoxqj9q6s0835b43399p4")
    grey = np.full((16, 16), 130, np.uint8)
    tree: dict[str, object] = {f"Kvasir-SEG/images/{s}.jpg": PHOTO for s in stems}
    tree |= {f"Kvasir-SEG/masks/{s}.jpg": grey for s in stems}
    source = open_source(make_tree(tree))
    assert source.name == "polyps"
    assert labels(source).encoding.threshold == 127
    np.testing.assert_array_equal(source.read_values(source.records[0]), np.ones((16, 16)))


def test_clinic_takes_one_of_its_two_copies(make_tree) -> None:
    tree: dict[str, object] = {}
    for kind, suffix in (("PNG", "png"), ("TIF", "tif")):
        for number in (1, 12):
            tree[f"CVC/{kind}/Original/{number}.{suffix}"] = PHOTO
            tree[f"CVC/{kind}/Ground Truth/{number}.{suffix}"] = TWO
    source = open_source(make_tree(tree))
    assert source.name == "polyps"
    assert [r.image.relative_to(source.root).as_posix() for r in source.records] == [
        "CVC/PNG/Original/1.png",
        "CVC/PNG/Original/12.png",
    ]
    assert labels(source).trained_as == {0: 0, 255: 1}


def test_drive_ignores_what_the_camera_did_not_see(make_tree) -> None:
    tree: dict[str, object] = {}
    for split, number in (("training", 21), ("test", 1)):
        stem = f"{number:02}_{split}"
        tree[f"{split}/images/{stem}.tif"] = PHOTO
        tree[f"{split}/1st_manual/{number:02}_manual1.gif"] = TWO
        tree[f"{split}/mask/{stem}_mask.gif"] = TWO
    source = open_source(make_tree(tree))
    assert source.name == "retinal-vessels"
    assert labels(source).names == ("background", "vessel")
    assert {r.split for r in source.records} == {"train", "test"}
    assert all("mask" in r.valid_region.parent.name for r in source.records)


def test_drive_without_drawings_does_not_take_the_field_of_view_for_them(make_tree) -> None:
    """The test set is handed out so: its masks are where the camera saw anything."""
    tree = {"images/01_test.tif": PHOTO, "mask/01_test_mask.gif": TWO}
    with pytest.raises(DataError, match=r"01_test_mask\.gif(.|\n)*field of view(.|\n)*1st_manual"):
        open_source(make_tree(tree))


def test_stare_takes_the_first_observer(make_tree) -> None:
    root = make_tree({})
    for folder, name, pixels in (
        ("stare-images", "im0001.ppm", PHOTO),
        ("labels-ah", "im0001.ah.ppm", np.stack([TWO] * 3, axis=-1)),
        ("labels-vk", "im0001.vk.ppm", np.stack([0 * TWO] * 3, axis=-1)),
        ("fov", "im0001.png", TWO),
    ):
        (root / folder).mkdir()
        Image.fromarray(pixels).save(root / folder / name)
    source = open_source(root)
    assert source.name == "retinal-vessels"
    np.testing.assert_array_equal(source.read_values(source.records[0]), TWO)
    assert source.records[0].valid_region == root / "fov" / "im0001.png"


def test_chase_takes_the_first_observer(make_tree) -> None:
    tree: dict[str, object] = {f"Image_01{eye}.jpg": PHOTO for eye in "LR"}
    tree |= {f"Image_01{eye}_1stHO.png": TWO for eye in "LR"}
    tree |= {f"Image_01{eye}_2ndHO.png": 0 * TWO for eye in "LR"}
    source = open_source(make_tree(tree))
    assert (source.name, len(source.records)) == ("retinal-vessels", 2)
    assert all(r.labels[0].stem.endswith("_1stHO") for r in source.records)
