from typing import Any

import numpy as np
import pytest

from limner.formats import open_source

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
POLYGON = '<polygon label="cat" points="10.00,10.00;30.00,10.00;30.00,30.00;10.00,30.00" z_order="0"/>'


def cvat(*shapes: str, image: str = 'id="0" name="sub/a.png" width="60" height="40"') -> str:
    meta = "<version>1.1</version><meta><task><labels><label><name>cat</name></label></labels></task></meta>"
    return f"<annotations>{meta}<image {image}>{''.join(shapes)}</image></annotations>"


def opened(make_tree, *shapes: str, **more: Any) -> Any:
    return open_source(make_tree({"images/sub/a.png": PICTURE, "annotations.xml": cvat(*shapes, **more)}))


def test_every_kind_of_shape(make_tree) -> None:
    # In a box of 3 x 2 at (50, 30): one pixel outside, four inside, one outside, along the rows.
    mask = '<mask label="dog" rle="1,4,1" left="50" top="30" width="3" height="2"/>'
    source = opened(
        make_tree,
        POLYGON,
        '<box label="dog" xtl="40" ytl="5" xbr="50" ybr="10"/>',
        '<ellipse label="dog" cx="20" cy="20" rx="6" ry="3"/>',
        '<polyline label="dog" points="5,35;55,35"/>',
        '<points label="dog" points="50,20"/>',
        mask,
        '<skeleton label="dog"/>',
    )
    assert source.name == "cvat"
    segments = source.read_segments(source.records[0])
    areas = segments.areas
    assert segments.labels.tolist()[:2] == [1, 2]
    assert (areas[0], areas[1]) == (400, 50)
    assert areas[2] == pytest.approx(np.pi * 18, rel=0.1)
    assert areas[5] == 4
    rows, columns = np.nonzero(segments.masks()[5])
    assert [*zip(rows.tolist(), columns.tolist(), strict=True)] == [(30, 51), (30, 52), (31, 50), (31, 51)]
    codes = {f.code: 1 + f.found.count("1 more like it") for f in source.findings}
    assert codes == {"drawn-by-width": 2, "shape-unknown": 1}


def test_turned_boxes_and_groups(make_tree) -> None:
    # 20 x 10 about (30, 20), turned by a quarter: x 25 to 35, y 10 to 30.
    turned = '<box label="dog" xtl="20" ytl="15" xbr="40" ybr="25" rotation="90"/>'
    grouped = POLYGON.replace("z_order", 'group_id="3" z_order')
    other = grouped.replace("10.00,", "1.00,").replace("30.00,", "5.00,")
    source = opened(make_tree, turned, grouped, other)
    boxes = source.read_boxes(source.records[0])
    np.testing.assert_allclose(boxes.xyxy[0], [25, 10, 35, 30], atol=1e-4)
    assert len(boxes) == 2
    assert boxes.xyxy[1].tolist() == [1, 10, 30, 30]


def test_tracks_of_a_video(make_tree) -> None:
    def track(label: str, *boxes: tuple[int, int, int]) -> str:
        sides = 'ytl="5" xbr="50" ybr="10"'
        rows = (f'<box frame="{f}" outside="{o}" keyframe="1" xtl="{x}" {sides}/>' for f, o, x in boxes)
        return f'<track id="0" label="{label}">{"".join(rows)}</track>'

    size = "<meta><task><original_size><width>60</width><height>40</height></original_size></task></meta>"
    both = track("cat", (0, 0, 40), (1, 0, 42), (2, 1, 44)) + track("dog", (1, 0, 10))
    text = f"<annotations><version>1.1</version>{size}{both}</annotations>"
    frames = {f"images/frame_00000{n}.PNG": PICTURE for n in range(3)}
    source = open_source(make_tree({**frames, "annotations.xml": text}))
    names = source.declared_labels().names
    found = {}
    for record in source.records:
        boxes = source.read_boxes(record)
        found[record.image.stem[-1]] = [
            (names[i], b[0]) for i, b in zip(boxes.labels, boxes.xyxy, strict=True)
        ]
    # The last frame shows neither.
    assert found == {"0": [("cat", 40)], "1": [("cat", 42), ("dog", 10)], "2": []}
    assert "image-not-listed" not in {f.code for f in source.findings}


def test_boxes_alone(make_tree) -> None:
    assert opened(make_tree, '<box label="dog" xtl="40" ytl="5" xbr="50" ybr="10"/>').tasks == ("detection",)


DEFECTS = {
    "annotation-malformed": '<polygon label="cat" points="1,2;3"/>',
    "polygon-too-short": '<polygon label="cat" points="1,2;3,4"/>',
    "rle-wrong-length": '<mask label="cat" rle="1,4" left="50" top="30" width="3" height="2"/>',
    "box-zero-size": '<box label="dog" xtl="40" ytl="5" xbr="40" ybr="10"/>',
    "shape-unknown": '<points label="cat" points="1,2;3,4"/>',
}


@pytest.mark.parametrize("code", DEFECTS)
def test_defects_name_image_and_shape(make_tree, code: str) -> None:
    source = opened(make_tree, POLYGON, DEFECTS[code])
    (found,) = source.findings
    assert found.code == code
    assert found.where.startswith("annotations.xml, image 0, ")
    assert found.files == ("images/sub/a.png",)


def test_images_and_sizes(make_tree) -> None:
    source = opened(make_tree, POLYGON, image='id="0" name="a.png" subset="Validation"')
    assert [f.code for f in source.findings] == ["size-not-stated"]
    assert source.records[0].split == "val"
    assert source.read_segments(source.records[0]).spatial_shape == (40, 60)
    text = cvat(POLYGON) + ""
    gone = text.replace("</annotations>", '<image id="1" name="b.png"/></annotations>')
    tree = {"images/a.png": PICTURE, "images/c.png": PICTURE, "annotations.xml": gone}
    codes = {f.code: f.where for f in open_source(make_tree(tree)).findings}
    assert codes["image-missing"] == "annotations.xml, image 1"
    assert "image-not-listed" in codes
