"""Boxes of a CSV: all headings mean the box from x 2 to 5 and y 1 to 3 in 9 x 6 pixels."""

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.formats import open_source

PICTURE = np.zeros((6, 9, 3), np.uint8)
TABLES = {
    "TensorFlow": "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,9,6,cell,2,1,5,3\n",
    "no heading": "data/a.png,2,1,5,3,cell\n",
    "semicolons": "image;label;x1;y1;x2;y2\na.png;cell;2;1;5;3\n",
    "corner and size": "image,class,left,top,width,height\na.png,cell,2,1,3,2\n",
    "centre": "image,class,x_center,y_center,width,height\na.png,cell,3.5,2,3,2\n",
    "Open Images": f"ImageID,LabelName,XMin,XMax,YMin,YMax\na,cell,{2 / 9},{5 / 9},{1 / 6},{3 / 6}\n",
    # The second box could be no other: its corners would be in the wrong order, or its size too large.
    "bbox by size": 'image_id,class,bbox\na,cell,"[2, 1, 3, 2]"\nb,cell,"[5, 3, 2, 1]"\n',
    "bbox by corners": 'image_id,class,bbox\na,cell,"[2.0, 1.0, 5.0, 3.0]"\nb,cell,"[6, 3, 9, 6]"\n',
    "x and y by corner": "image,class,x,y,w,h\na,cell,2,1,3,2\nb,cell,0,0,9,6\n",
    "x and y by centre": "image,class,x,y,w,h\na,cell,3.5,2,3,2\nb,cell,7,4,4,4\n",
}


@pytest.mark.parametrize("kind", TABLES)
def test_headings(make_tree, kind) -> None:
    root = make_tree({"a.png": PICTURE, "b.png": PICTURE, "labels.csv": TABLES[kind]})
    source = open_source(root)
    assert (source.name, source.tasks) == ("boxes-csv", ("detection",))
    boxes = source.read_boxes(source.records[0])
    np.testing.assert_allclose(boxes.xyxy, [[2, 1, 5, 3]], atol=1e-4)
    assert source.declared_labels().names == ("background", "cell")


def test_numbers_that_could_be_two_things_are_refused(make_tree) -> None:
    root = make_tree({"a.png": PICTURE, "labels.csv": "image,x,y,w,h\na.png,4,3,2,2\n"})
    with pytest.raises(DataError, match="several ways") as refused:
        open_source(root)
    assert "corner and size or centre and size" in str(refused.value)


def test_an_image_without_a_box_has_no_objects(make_tree) -> None:
    table = "image_id,width,height,xmin,ymin,xmax,ymax\na,9,6,,,,\nb,9,6,2,1,x,3\n"
    source = open_source(make_tree({"a.png": PICTURE, "b.png": PICTURE, "labels.csv": table}))
    assert [(f.code, f.count) for f in source.findings] == [("annotation-malformed", 1)]
    assert [len(source.read_boxes(record).xyxy) for record in source.records] == [0, 0]


def test_a_table_of_classes_stays_one(make_tree) -> None:
    root = make_tree({"a.png": PICTURE, "b.png": PICTURE, "labels.csv": "image,label\na.png,x\nb.png,y\n"})
    assert open_source(root).name == "class-list"


def test_fractions_that_leave_the_image_a_little_stay_fractions(make_tree) -> None:
    heading = "image,class,xmin,ymin,xmax,ymax\n"
    table = f"{heading}a,cell,{2 / 9},{1 / 6},{5 / 9},{3 / 6}\nb,cell,-0.0001,0.5,1.05,1\n"
    source = open_source(make_tree({"a.png": PICTURE, "b.png": PICTURE, "labels.csv": table}))
    boxes = [source.read_boxes(record).xyxy for record in source.records]
    np.testing.assert_allclose(boxes, [[[2, 1, 5, 3]], [[0, 3, 9, 6]]], atol=1e-4)
    (said,) = [f for f in source.findings if f.code == "value-outside-0-1"]
    assert said.files == ("b.png",)


def test_names_of_classes_come_before_their_numbers(make_tree) -> None:
    table = "image_id,class_id,class_name,xmin,ymin,xmax,ymax\na,7,cell,2,1,5,3\n"
    source = open_source(make_tree({"a.png": PICTURE, "labels.csv": table}))
    assert source.declared_labels().names == ("background", "cell")


def test_a_table_without_heading_may_begin_with_an_empty_image(make_tree) -> None:
    root = make_tree({"a.png": PICTURE, "b.png": PICTURE, "labels.csv": "a.png,,,,,\nb.png,2,1,5,3,cell\n"})
    source = open_source(root)
    assert source.name == "boxes-csv"
    assert [len(source.read_boxes(record)) for record in source.records] == [0, 1]
