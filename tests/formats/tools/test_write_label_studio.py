import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from limner.core.labels import LabelClass, LabelTable
from limner.formats import open_source
from limner.formats.drawn import Drawn, Shape
from limner.formats.tools.label_studio import unpack_brush
from limner.formats.tools.label_studio_results import pack_brush
from limner.formats.tools.write_label_studio import WriteLabelStudio
from limner.formats.writers import Outgoing

LABELS = LabelTable(
    (
        LabelClass("background", (0,), (0, 0, 0)),
        LabelClass("cat", (1,), (255, 0, 16)),
        LabelClass("dog", (2,), (0, 0, 255)),
    )
)
TRIANGLE = Drawn(1, (Shape("polygon", [6, 4, 36, 4, 6, 24]),), score=0.75)


def write(tmp_path, *objects, is_predicted=True):
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "a b.png")
    writer, root = WriteLabelStudio(), tmp_path / "out"
    outgoing = Outgoing(
        "a b", tmp_path / "a b.png", None, None, objects=objects, size=(40, 60), is_predicted=is_predicted
    )
    writer.finish(root, [writer.write_image(root, outgoing, LABELS)], LABELS)
    return root, json.loads((root / "tasks.json").read_text())


def test_predictions_are_in_percent_and_named_by_the_labelling_interface(tmp_path) -> None:
    root, (task,) = write(tmp_path, TRIANGLE)
    assert task["data"] == {"image": "/data/local-files/?d=images/a%20b.png"}
    (prediction,) = task["predictions"]
    assert (prediction["score"], "annotations" in task) == (0.75, False)
    (result,) = prediction["result"]
    assert result["value"] == {
        "points": [[10, 10], [60, 10], [10, 60]],
        "closed": True,
        "polygonlabels": ["cat"],
    }
    assert (result["original_width"], result["original_height"], result["score"]) == (60, 40, 0.75)
    view = ElementTree.parse(root / "label_config.xml").getroot()
    control = view.find(f"*[@name='{result['from_name']}']")
    assert (control.tag, control.get("toName")) == ("PolygonLabels", result["to_name"])
    assert view.find("Image").attrib == {"name": result["to_name"], "value": "$image"}
    assert [label.get("value") for label in control] == ["cat", "dog"]


def test_two_kinds_of_regions_have_two_tags_of_different_names(tmp_path) -> None:
    box = Drawn(2, (Shape("box", [6, 4, 36, 24]),))
    root, (task,) = write(tmp_path, TRIANGLE, box, is_predicted=False)
    names = [row["from_name"] for row in task["annotations"][0]["result"]]
    assert len({*names}) == 2
    tags = [tag.get("name") for tag in ElementTree.parse(root / "label_config.xml").getroot()]
    assert {*names} < {*tags}


def test_predictions_are_read_back_with_a_warning_until_a_person_drew_something(tmp_path) -> None:
    root, (task,) = write(tmp_path, TRIANGLE)
    source = open_source(root)
    np.testing.assert_array_equal(source.read_segments(source.records[0]).masks()[0], TRIANGLE.mask(40, 60))
    assert [f.code for f in source.findings] == ["labels-are-predictions"]
    Image.fromarray(np.ones((40, 60, 3), np.uint8)).save(root / "images" / "c.png")
    drawn = {"data": {"image": "c.png"}, "annotations": [{"result": task["predictions"][0]["result"]}]}
    (root / "tasks.json").write_text(json.dumps([task, drawn]))
    source = open_source(root)
    assert [(record.image.name, bool(record.labels)) for record in source.records] == [
        ("a b.png", False),
        ("c.png", True),
    ]


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (300, 400)])
def test_a_brush_has_four_values_for_each_pixel(shape) -> None:
    mask = np.random.default_rng(0).random(shape) < 0.5
    mask[: shape[0] // 2] = False  # a run of 60,000 pixels, 240,000 values: four blocks
    values = unpack_brush(pack_brush(mask))
    np.testing.assert_array_equal(values, np.repeat(np.where(mask, 255, 0).ravel(), 4))


def test_a_brush_by_hand() -> None:
    # 8 values of two pixels; 8 bits a value; lengths of 3, 4, 8 or 16 bits; then two runs of 4 values.
    head = f"{8:032b}{7:05b}" + "0010" + "0011" + "0111" + "1111"
    blocks = "1" + "00" + "011" + "00000000" + "1" + "00" + "011" + "11111111"
    bits = head + blocks
    bits += "0" * (-len(bits) % 8)
    expected = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    assert pack_brush(np.array([[False, True]])) == expected
