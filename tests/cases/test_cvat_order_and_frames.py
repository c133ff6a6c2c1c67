"""CVAT's XML: what is on top of what, frames without objects, and shapes that limner does not draw."""

from pathlib import Path

import numpy as np
from PIL import Image

from limner.api.check import check
from limner.formats import open_source
from limner.formats.source import Source

SIZE = "<original_size><width>20</width><height>12</height></original_size>"
BIG, SMALL = "2,2;12,2;12,10;2,10", "4,4;8,4;8,8;4,8"  # 80 pixels, and 16 inside them


def opened(root: Path, body: str, names: list[str]) -> Source:
    for name in names:
        Image.fromarray(np.zeros((12, 20, 3), np.uint8)).save(root / name)
    (root / "annotations.xml").write_text(f"<annotations>{body}</annotations>")
    return open_source(root)


def polygon(label: str, points: str, z_order: int) -> str:
    return f'<polygon label="{label}" points="{points}" z_order="{z_order}"/>'


def image(shapes: str) -> str:
    return f'<image id="0" name="a.png" width="20" height="12">{shapes}</image>'


def areas(source: Source) -> list[int]:
    return np.bincount(source.read_values(source.records[0]).ravel(), minlength=3).tolist()


def test_z_order_decides_what_is_on_top(tmp_path: Path) -> None:
    shapes = polygon("big", BIG, 5) + polygon("small", SMALL, 0)
    source = opened(tmp_path, image(shapes), ["a.png"])
    assert areas(source) == [160, 80, 0]
    segments = source.read_segments(source.records[0])
    assert segments.areas.tolist()[:2] == [80, 16]  # both are complete for instances
    assert segments.select(segments.labels == 2).areas.tolist() == [16]


def test_a_class_whose_objects_are_all_covered_is_said_to_be(tmp_path: Path) -> None:
    shapes = polygon("big", BIG, 5) + polygon("small", SMALL, 0)
    opened(tmp_path, image(shapes), ["a.png"])
    found = {finding.code: finding.found for finding in check(tmp_path).findings}
    assert found["class-covered"] == "all objects lie under objects of other classes: 'small' (1 object)"
    assert "class-never-occurs" not in found


def test_of_one_z_order_the_smaller_is_on_top(tmp_path: Path) -> None:
    shapes = polygon("small", SMALL, 3) + polygon("big", BIG, 3)
    assert areas(opened(tmp_path, image(shapes), ["a.png"])) == [160, 64, 16]


def track(frames: list[tuple[int, int]]) -> str:
    """Return a track with (frame, outside)."""
    shapes = "".join(f'<polygon frame="{f}" outside="{o}" points="{SMALL}"/>' for f, o in frames)
    return f'<track id="0" label="car">{shapes}</track>'


def counts(source: Source) -> dict[str, int]:
    return {r.image.name: len(source.read_objects(r)) for r in source.records}


def test_frames_where_a_track_is_outside_have_no_objects(tmp_path: Path) -> None:
    names = [f"frame_00000{number}.PNG" for number in range(3)]
    meta = f"<meta><task>{SIZE}</task></meta>"
    source = opened(tmp_path, meta + track([(0, 0), (1, 0), (2, 1)]), names)
    assert counts(source) == dict(zip(names, [1, 1, 0], strict=True))
    assert source.findings == ()


def test_frames_of_the_task_without_any_track_have_no_objects(tmp_path: Path) -> None:
    names = [f"frame_0000{number}.PNG" for number in (10, 12, 14)]
    meta = (
        f"<meta><task>{SIZE}<size>4</size><start_frame>10</start_frame>"
        "<frame_filter>step=2</frame_filter></task></meta>"
    )
    source = opened(tmp_path, meta + track([(12, 0)]), names)
    # Frame 16 is in the task, shows nothing, and is not on disk: nothing is lost.
    assert counts(source) == dict(zip(names, [0, 1, 0], strict=True))
    assert source.findings == ()


def test_a_huge_task_is_read(tmp_path: Path) -> None:
    meta = "<meta><task><size>999999999</size></task></meta>"
    source = opened(tmp_path, meta + track([(0, 0)]), ["frame_000000.PNG"])
    assert counts(source) == {"frame_000000.PNG": 1}


def test_cuboids_and_skeletons_are_shapes_that_are_not_drawn(tmp_path: Path) -> None:
    shapes = (
        '<cuboid label="a" xtl1="1" ytl1="1" z_order="0"/>'
        '<skeleton label="b" z_order="0"><points label="c" points="1,1"/></skeleton>'
    )
    source = opened(tmp_path, image(shapes + polygon("a", BIG, 0)), ["a.png"])
    (finding,) = source.findings
    assert (finding.code, finding.cases) == ("shape-unknown", 2)
    assert "'a' is a cuboid" in finding.found
