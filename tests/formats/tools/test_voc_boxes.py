from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.formats import open_source

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
SIZE = "<size><width>60</width><height>40</height></size>"


def item(*sides: object, name: str = "cat", more: str = "") -> str:
    keys = ("xmin", "ymin", "xmax", "ymax")
    box = "".join(f"<{key}>{side}</{key}>" for key, side in zip(keys, sides, strict=False))
    return f"<object><name>{name}</name><bndbox>{box}</bndbox>{more}</object>"


def opened(make_tree, *items: str, size: str = SIZE, **files: object) -> Any:
    text = f"<annotation><filename>a.png</filename>{size}{''.join(items)}</annotation>"
    return open_source(make_tree({"JPEGImages/a.png": PICTURE, "Annotations/a.xml": text} | files))


def test_pixels_are_counted_from_1_unless_a_0_says_otherwise(make_tree) -> None:
    difficult = item(11, 21, 30, 40, name="dog", more="<difficult>1</difficult>")
    source = opened(make_tree, item(1, 1, 3, 2), difficult)
    (record,) = source.records
    boxes = source.read_boxes(record)
    # The first three columns and two rows: 0 to 3 and 0 to 2.
    assert boxes.xyxy.tolist() == [[0, 0, 3, 2], [10, 20, 30, 40]]
    assert boxes.is_difficult.tolist() == [False, True]
    assert (source.read_values(record) == 1).sum() == 6
    assert source.declared_labels().names == ("background", "cat", "dog")
    source = opened(make_tree, item(0, 0, 3, 2), difficult)
    assert source.read_boxes(source.records[0]).xyxy.tolist() == [[0, 0, 3, 2], [11, 21, 30, 40]]


def test_files_that_labelimg_marked_as_verified(make_tree) -> None:
    text = f'<annotation verified="yes"><filename>a.png</filename>{SIZE}{item(1, 1, 3, 2)}</annotation>'
    assert open_source(make_tree({"a.png": PICTURE, "a.xml": text})).name == "voc-boxes"


DEFECTS = {
    "box-zero-size": (item(5, 5, 5, 5), "0 x 0 pixels at x 5, y 5"),
    "box-outside-image": (item(5, 5, 70, 9), "x from 5 to 70, y from 5 to 9 in 60 x 40"),
    "annotation-malformed": (item(5, 5, "far", 9), "four sides"),
}


@pytest.mark.parametrize("code", DEFECTS)
def test_defects_name_file_and_object(make_tree, code: str) -> None:
    text, said = DEFECTS[code]
    source = opened(make_tree, item(2, 2, 9, 9), text)
    found = {f.code: f for f in source.findings}[code]
    assert (found.where, found.files) == ("Annotations/a.xml, object 1", ("Annotations/a.xml",))
    assert said in found.found
    assert found.fix


def test_a_file_without_size_takes_that_of_the_image(make_tree) -> None:
    source = opened(make_tree, item(2, 2, 9, 9), size="")
    assert "size-not-stated" in {f.code for f in source.findings}
    assert source.read_boxes(source.records[0]).spatial_shape == (40, 60)


def test_entities_are_refused(make_tree) -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>'
    source = opened(make_tree, item(2, 2, 9, 9), **{"JPEGImages/b.png": PICTURE, "Annotations/b.xml": bomb})
    with pytest.raises(DataError, match=r"b\.xml(.|\n)*entities"):
        source.read_boxes(source.records[1])


def test_blood_cells(shared_data: Path) -> None:
    source = open_source(shared_data / "blood_cells")
    assert (source.name, source.tasks) == ("voc-boxes", ("detection",))
    assert Counter(r.split for r in source.records) == {"train": 205, "val": 87}
    zero = next(f for f in source.findings if f.code == "box-zero-size")
    assert zero.count == 2
    names = Counter(
        node.text for r in source.records for node in ElementTree.parse(r.labels[0]).iterfind("object/name")
    )
    table = source.declared_labels()
    ours = Counter(table.names[label] for r in source.records for label in source.read_boxes(r).labels)
    assert sum(names.values()) - sum(ours.values()) == 2
    assert ours["WBC"] == names["WBC"]


def test_another_file_that_counts_from_0_changes_what_is_read(make_tree) -> None:
    source = opened(make_tree, item(2, 2, 9, 9))
    (record,), before = source.records, source.reading_state(source.records[0])
    text = f"<annotation><filename>b.png</filename>{SIZE}{item(0, 0, 9, 9)}</annotation>"
    other = opened(make_tree, item(2, 2, 9, 9), **{"JPEGImages/b.png": PICTURE, "Annotations/b.xml": text})
    same = next(each for each in other.records if each.name == record.name)
    assert source.read_boxes(record).xyxy.tolist() == [[1, 1, 9, 9]]
    assert other.read_boxes(same).xyxy.tolist() == [[2, 2, 9, 9]]
    assert other.reading_state(same) != before


def test_boxes_of_a_missing_image_do_not_go_to_one_of_its_name(make_tree) -> None:
    def boxes(name: str) -> str:
        sides = "<xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax>"
        return f"<annotation><object><name>{name}</name><bndbox>{sides}</bndbox></object></annotation>"

    files = {f"Annotations/{folder}/1.xml": boxes(folder) for folder in ("a", "b")}
    source = open_source(make_tree(files | {"JPEGImages/b/1.png": np.zeros((20, 30, 3), np.uint8)}))
    assert source.declared_labels().names == ("background", "a", "b")
    assert source.read_boxes(source.records[0]).labels.tolist() == [2]
    (said,) = [f for f in source.findings if f.code == "image-in-two-files"]
    assert said.where == "Annotations/a/1.xml"
