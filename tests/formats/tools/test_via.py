"""VIA: shapes and classes of regions, in its three kinds of file."""

import json

import numpy as np
import pytest

from limner.core.errors import ConfigError
from limner.formats import open_source

PICTURE = np.zeros((40, 50, 3), np.uint8)
RECT = {"name": "rect", "x": 10, "y": 5, "width": 20, "height": 8}


def export(*regions: tuple[dict, dict], key: str = "", numbered: bool = False) -> str:
    rows = [{"shape_attributes": shape, "region_attributes": said} for shape, said in regions]
    listed = {str(n): row for n, row in enumerate(rows)} if numbered else rows
    images = {"a.png1": {"filename": "a.png", "size": 1, "regions": listed, "file_attributes": {}}}
    return json.dumps({"_via_settings": {}, key: images} if key else images)


def codes(source) -> list[str]:
    return [finding.code for finding in source.findings]


def opened(make_tree, text: str, **files: str):
    return open_source(make_tree({"images/a.png": PICTURE, "via.json": text, **files}))


@pytest.mark.parametrize("options", [{}, {"key": "_via_img_metadata"}, {"numbered": True}], ids=str)
def test_export_project_and_version_1(make_tree, options) -> None:
    source = opened(make_tree, export((RECT, {"type": "cell"}), **options))
    assert (source.name, codes(source)) == ("via", ["boxes-only"])
    values = source.read_values(source.records[0])
    assert values[5:13, 10:30].all() and values.sum() == 160
    assert source.declared_labels().names == ("background", "cell")


def test_csv(make_tree) -> None:
    text = (
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
        'a.png,1,"{}",1,0,"{""name"":""rect"",""x"":10,""y"":5,""width"":20,""height"":8}","{""type"":""cell""}"\n'
        'b.png,1,"{}",0,0,"{}","{}"\n'
    )
    source = open_source(make_tree({"a.png": PICTURE, "b.png": PICTURE, "via.csv": text}))
    assert [source.read_values(record).sum() for record in source.records] == [160, 0]


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        ({"name": "polygon", "all_points_x": [10, 20, 20, 10], "all_points_y": [10, 10, 15, 15]}, 50),
        ({"name": "circle", "cx": 25, "cy": 20, "r": 10}, np.pi * 100),
        ({"name": "ellipse", "cx": 25, "cy": 20, "rx": 15, "ry": 4}, np.pi * 60),
        ({"name": "ellipse", "cx": 25, "cy": 20, "rx": 15, "ry": 4, "theta": np.pi / 2}, np.pi * 60),
    ],
)
def test_shapes(make_tree, shape, area) -> None:
    source = opened(make_tree, export((shape, {"type": "cell"})))
    values = source.read_values(source.records[0])
    assert values.sum() == pytest.approx(area, rel=0.05)
    if "theta" in shape:  # a quarter turn: higher than wide
        rows, columns = np.nonzero(values)
        assert np.ptp(rows) > 3 * np.ptp(columns)


def test_without_attributes_all_regions_are_of_one_class(make_tree) -> None:
    source = opened(make_tree, export((RECT, {})))
    assert source.declared_labels().names == ("background", "object")


def test_boxes_to_tick_name_the_class(make_tree) -> None:
    source = opened(make_tree, export((RECT, {"type": {"cell": True}})))
    assert source.declared_labels().names == ("background", "cell")


def test_of_two_attributes_the_one_called_class_is_taken(make_tree) -> None:
    source = opened(make_tree, export((RECT, {"quality": "good", "Class": "cell"})))
    assert source.declared_labels().names == ("background", "cell")
    assert codes(source) == ["boxes-only"]


def test_which_of_two_attributes_is_asked(make_tree) -> None:
    text = export((RECT, {"shade": "dark", "species": "oak", "name": "x"}))
    asked = opened(make_tree, text).findings[0]
    assert (asked.code, asked.proposal) == ("attribute-unclear", {"class_attribute": "name"})
    source = opened(make_tree, text, **{"dataset.yaml": "class_attribute: shade"})
    assert source.declared_labels().names == ("background", "dark")
    assert codes(source) == ["boxes-only"]
    with pytest.raises(ConfigError, match="'shade', 'species', 'name'"):
        opened(make_tree, text, **{"dataset.yaml": "class_attribute: colour"})
