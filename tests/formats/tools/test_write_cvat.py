import json
import xml.etree.ElementTree as ElementTree

import numpy as np
from PIL import Image

from limner.core.labels import LabelClass, LabelTable
from limner.formats import open_source
from limner.formats.drawn import Drawn, Shape
from limner.formats.tools.write_cvat import WriteCvat
from limner.formats.writers import Outgoing

LABELS = LabelTable(
    (
        LabelClass("background", (0,), (0, 0, 0)),
        LabelClass("cat", (1,), (255, 0, 16)),
        LabelClass("big dog", (2,), (0, 0, 255)),
    )
)


def write(tmp_path, *objects, name="a.png"):
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / name)
    writer, root = WriteCvat(), tmp_path / "out"
    outgoing = Outgoing("a", tmp_path / name, "val", None, objects=objects, size=(40, 60), is_predicted=True)
    writer.finish(root, [writer.write_image(root, outgoing, LABELS)], LABELS)
    return root


def test_the_xml_is_that_of_cvat_for_images(tmp_path) -> None:
    triangle = Drawn(1, (Shape("polygon", [1, 2, 11.25, 2, 1, 12]),), score=0.87654)
    box = Drawn(2, (Shape("box", [5, 6, 25, 16.5]),))
    root = write(tmp_path, triangle, box)
    whole = ElementTree.parse(root / "annotations.xml").getroot()
    assert (whole.tag, whole.findtext("version")) == ("annotations", "1.1")
    assert [label.findtext("name") for label in whole.iter("label")] == ["cat", "big dog"]
    (image,) = whole.findall("image")
    assert image.attrib == {"id": "0", "name": "a.png", "subset": "val", "width": "60", "height": "40"}
    polygon, drawn = image
    assert polygon.get("points") == "1,2;11.25,2;1,12"
    assert (polygon.get("label"), polygon.get("source")) == ("cat", "auto")
    assert [(a.get("name"), a.text) for a in polygon] == [("score", "0.877")]
    assert [drawn.get(key) for key in ("xtl", "ytl", "xbr", "ybr", "source")] == [
        *("5", "6", "25", "16.5", "manual")
    ]
    constructor = json.loads((root / "labels.json").read_text())
    assert [(one["name"], one["color"]) for one in constructor] == [
        ("cat", "#ff0010"),
        ("big dog", "#0000ff"),
    ]
    assert constructor[0]["attributes"][0]["name"] == "score"


def test_run_lengths_go_along_the_rows_of_the_box_and_begin_outside(tmp_path) -> None:
    # A ring of 3 x 3 without its middle, at (4, 2): rows 111, 101, 111.
    ring = Drawn(1, (Shape("polygon", [4, 2, 7, 2, 7, 5, 4, 5]), Shape("hole", [5, 3, 6, 3, 6, 4, 5, 4])))
    root = write(tmp_path, ring)
    (mask,) = ElementTree.parse(root / "annotations.xml").getroot().iter("mask")
    assert mask.get("rle") == "0,4,1,4"
    assert [mask.get(key) for key in ("left", "top", "width", "height")] == ["4", "2", "3", "3"]
    source = open_source(root)
    (record,) = source.records
    assert record.split == "val"
    np.testing.assert_array_equal(source.read_segments(record).masks()[0], ring.mask(40, 60))
