from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.core.errors import DataError
from limner.formats import open_source
from limner.formats.pairs.color_tables import TableRow, label_table, read_table

ROAD, CONE = (128, 64, 128), (0, 0, 64)
BY_COLOR = (TableRow("Road", ROAD, None), TableRow("Traffic Cone", CONE, None))
BY_VALUE = (TableRow("Road", None, 0), TableRow("Traffic Cone", None, 2))


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("class_dict.csv", "name,r,g,b\nRoad,128,64,128\nTraffic Cone,0,0,64\n", BY_COLOR),
        ("label_class_dict.csv", "name,r,g,b\nRoad,128,64,128\nTraffic Cone,0,0,64\n", BY_COLOR),
        ("class_dict_seg.csv", "name, r, g, b\nRoad, 128, 64, 128\nTraffic Cone, 0, 0, 64\n", BY_COLOR),
        ("class_dict.csv", 'name;"color"\nRoad;128 64 128\nTraffic Cone;(0 0 64)\n', BY_COLOR),
        ("label_colors.txt", "128 64 128\tRoad\n0 0 64\t\tTraffic Cone\n", BY_COLOR),
        ("label_colors.txt", "128 64 128 Road\r\n0 0 64 Traffic Cone\r\n", BY_COLOR),
        ("label_colors.txt", "Road 128 64 128\nTraffic Cone 0 0 64\n", BY_COLOR),
        (
            "labelmap.txt",
            "# label:color_rgb:parts:actions\nRoad:128,64,128::\nTraffic Cone:0,0,64::\n",
            BY_COLOR,
        ),
        ("classes.txt", "Road,#804080\nTraffic Cone,#000040\n", BY_COLOR),
        ("classes.json", '{"Road": [128, 64, 128], "Traffic Cone": "#000040"}', BY_COLOR),
        ("_classes.csv", "Pixel Value, Class\n0, Road\n2, Traffic Cone\n", BY_VALUE),
        ("classes.json", '[{"id": 0, "name": "Road"}, {"id": 2, "name": "Traffic Cone"}]', BY_VALUE),
        ("labels.csv", "\ufeffid,name\n0,Road\n2,Traffic Cone\n", BY_VALUE),
        ("classes.txt", "Road\nTraffic Cone\n", ()),
        ("classes.txt", "A photo of 12 things.\nAnd more text, in lines\n", ()),
        ("labels.csv", "name,r,g,b\nRoad,128,64,300\nTraffic Cone,0,0,64\n", ()),
        ("classes.json", "{broken", ()),
        ("labels.csv", "image,grade\na.png,1\nb.png,2\n", ()),
    ],
)
def test_tables_as_people_write_them(
    tmp_path: Path, name: str, text: str, rows: tuple[TableRow, ...]
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    assert read_table(tmp_path / name) == rows


def test_a_class_named_twice(tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text("Road,1,2,3\nRoad,4,5,6\n")
    with pytest.raises(DataError, match="names a class twice"):
        read_table(tmp_path / "classes.csv")


def test_names_that_end_in_numbers_are_no_table(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("grade 0\ngrade 1\ngrade 2\n")
    assert read_table(tmp_path / "labels.txt") == ()


def test_a_long_list_is_a_table_only_with_colours(tmp_path: Path) -> None:
    path = tmp_path / "class_dict.csv"
    path.write_text("".join(f"plant {i},{i // 256},{i % 256},7\n" for i in range(300)))
    rows = read_table(path)
    assert len(rows) == 300 and rows[299] == TableRow("plant 299", (1, 43, 7), None)
    path.write_text("".join(f"image_{i},{i}\n" for i in range(300)))
    assert read_table(path) == ()


def test_void_is_ignored_and_numbers_go_by_position() -> None:
    rows = (TableRow("Void", (0, 0, 0), None), TableRow("Road", ROAD, None))
    by_color, by_place = label_table(rows, in_color=True), label_table(rows, in_color=False)
    assert by_color is not None
    assert by_place is not None
    assert (by_color.trained_as, by_color.encoding.kind) == ({0: 255, 128 << 16 | 64 << 8 | 128: 0}, "color")
    assert (by_place.trained_as, by_place.encoding.kind) == ({0: 255, 1: 0}, "index")


def test_two_classes_of_one_colour_settle_nothing() -> None:
    assert label_table((TableRow("a", ROAD, None), TableRow("b", ROAD, None)), in_color=True) is None


@pytest.mark.parametrize("kind", ["rgb", "palette", "grey"])
def test_masks_by_their_table(make_tree, kind: str) -> None:
    index = np.array([[0, 1, 1], [1, 0, 1]], np.uint8)
    root = make_tree({"train/a.png": np.zeros((2, 3, 3), np.uint8), "class_dict.csv": ""})
    (root / "class_dict.csv").write_text("name,r,g,b\nRoad,128,64,128\nTraffic Cone,0,0,64\n")
    (root / "train_labels").mkdir()
    mask = Image.fromarray(index, mode="P" if kind == "palette" else None)
    if kind == "palette":
        mask.putpalette([*ROAD, *CONE])
    if kind == "rgb":
        mask = Image.fromarray(np.array([ROAD, CONE], np.uint8)[index])
    mask.save(root / "train_labels" / "a_L.png")
    source = open_source(root)
    assert source.name == "coloured-masks"
    table = source.declared_labels()
    assert table is not None
    assert table.names == ("Road", "Traffic Cone")
    np.testing.assert_array_equal(table.encode(source.read_values(source.records[0])), index)


def test_cvat_names_the_colours_of_voc_masks(make_tree) -> None:
    mask = np.array([[[0, 0, 0], ROAD, CONE]] * 2, np.uint8)
    text = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,64,128::\ncone:0,0,64::\n"
    root = make_tree({"JPEGImages/a.png": mask, "SegmentationClass/a.png": mask, "labelmap.txt": text})
    source = open_source(root)
    assert source.name == "voc"
    table = source.declared_labels()
    assert table is not None
    assert table.names == ("background", "road", "cone")
    np.testing.assert_array_equal(table.encode(source.read_values(source.records[0])), [[0, 1, 2]] * 2)


def test_tables_of_two_splits_that_number_classes_differently_are_an_error(make_tree) -> None:
    """Roboflow writes one for each split."""
    mask = np.eye(20, 30, dtype=np.uint8)
    photo = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    files = {f"{split}/{split[0]}.jpg": photo for split in ("train", "valid")}
    files |= {f"{split}/{split[0]}_mask.png": mask for split in ("train", "valid")}
    head = "Pixel Value, Class\n0, background\n"
    tables = {
        "train/_classes.csv": f"{head}1, cat\n2, dog\n",
        "valid/_classes.csv": f"{head}1, dog\n2, cat\n",
    }
    root = make_tree(files | tables)
    (said,) = [f for f in open_source(root).findings if f.code == "name-lists-differ"]
    assert (said.where, said.severity.value) == ("valid/_classes.csv", "error")
    assert said.found == "1 is 'dog' here, and read as 'cat'"
    (root / "valid/_classes.csv").write_text(tables["train/_classes.csv"])
    assert "name-lists-differ" not in {finding.code for finding in open_source(root).findings}
