import numpy as np
import pytest
from PIL import Image, ImageDraw

from limner.formats.drawn import Drawn, Kind, Shape, box_of_mask, pack, runs_of_mask, runs_to_mask, unpack


def drawn(*shapes: Shape, **more: object) -> Drawn:
    return Drawn(3, shapes, **more)


def test_shapes_cover_what_they_say() -> None:
    def covered(*shapes: Shape) -> np.ndarray:
        return drawn(*shapes).mask(6, 9)

    box = np.zeros((6, 9), bool)
    box[1:3, 2:5] = True
    np.testing.assert_array_equal(covered(Shape("box", [2, 1, 5, 3])), box)
    np.testing.assert_array_equal(covered(Shape("polygon", [2, 1, 5, 1, 5, 3, 2, 3])), box)
    np.testing.assert_array_equal(covered(Shape("runs", runs_of_mask(box))), box)
    holed = box.copy()
    holed[1, 3] = False
    hole = Shape("hole", [3, 1, 4, 1, 4, 2, 3, 2])
    np.testing.assert_array_equal(covered(Shape("box", [2, 1, 5, 3]), hole), holed)
    # What is drawn after a hole is not cut by it: an island.
    np.testing.assert_array_equal(covered(Shape("box", [2, 1, 5, 3]), hole, Shape("box", [3, 1, 4, 2])), box)


def test_circles_lines_and_points_against_another_drawer() -> None:
    canvas = Image.new("1", (80, 60))
    pen = ImageDraw.Draw(canvas)
    pen.ellipse([20, 10, 60, 50], fill=1)
    circle = drawn(Shape("ellipse", [40, 30, 20, 20])).mask(60, 80)
    other = np.array(canvas)
    assert (circle & other).sum() / (circle | other).sum() > 0.95
    assert circle.sum() == pytest.approx(np.pi * 20**2, rel=0.02)
    line = drawn(Shape("line", [10, 30, 70, 30])).mask(60, 80)
    assert line.sum() == pytest.approx(60 * 10, rel=0.05)  # 60 long, 10 wide
    assert drawn(Shape("point", [40, 30])).mask(60, 80).sum() == pytest.approx(np.pi * 5.5**2, rel=0.1)


FAR = [3e4, 1e5, 1e9, 2.0**31, 1e14]


@pytest.mark.parametrize("far", FAR)
def test_shapes_that_reach_far_outside_cover_what_is_inside(far: float) -> None:
    def pixels(kind: Kind, *numbers: float) -> int:
        return int(drawn(Shape(kind, numbers)).mask(24, 32).sum())

    upper_half = 12 * 32
    assert pixels("box", -far, -far, far, 12) == upper_half
    assert pixels("polygon", -far, -far, far, -far, far, 12, -far, 12) == upper_half
    assert pixels("ellipse", 16, 12 - far, far, far) == pytest.approx(upper_half, rel=0.05)
    assert pixels("line", -far, 12, far, 12) == 10 * 32  # 10 wide
    assert pixels("line", 16, 12, far, 12, far, far, 16, far) == pytest.approx(10 * 16, abs=10)
    assert pixels("point", far, 12) == pixels("line", far, 12, far, far) == 0


def test_runs_of_masks_and_back() -> None:
    rng = np.random.default_rng(0)
    for share in (0, 0.3, 1):
        mask = rng.random((7, 11)) < share
        np.testing.assert_array_equal(runs_to_mask(runs_of_mask(mask), 7, 11), mask)


def test_bounds() -> None:
    assert drawn(Shape("polygon", [2.5, 1, 5, 1, 5, 3])).bounds(6, 9) == (2.5, 1, 5, 3)
    assert drawn(Shape("polygon", [2.5, 1, 5, 1, 5, 3]), box=(0, 0, 1, 1)).bounds(6, 9) == (0, 0, 1, 1)
    mask = np.zeros((6, 9), bool)
    mask[2:4, 3:8] = True
    assert drawn(Shape("runs", runs_of_mask(mask))).bounds(6, 9) == (3, 2, 8, 4)
    assert box_of_mask(np.zeros((2, 2), bool)) == (0, 0, 0, 0)


def test_packing_forgets_nothing_and_is_small() -> None:
    many = [
        drawn(Shape("polygon", [2.5, 1.25, 5, 1, 5, 3]), is_crowd=True, box=(1.0, 2.0, 3.0, 4.5), name="a"),
        drawn(Shape("box", [1, 2, 3, 4]), Shape("hole", [1, 1, 2, 1, 2, 2]), is_difficult=True),
    ]
    again = unpack(pack(many))
    assert again == [
        Drawn(
            d.value,
            tuple(Shape(s.kind, list(s.numbers)) for s in d.shapes),
            d.is_crowd,
            d.is_difficult,
            d.box,
            d.name,
        )
        for d in many
    ]
    assert len(pack(many * 20)) < 500


def test_scaling_takes_parts_to_pixels() -> None:
    half = drawn(Shape("box", [0.25, 0.5, 0.5, 1])).scaled(8, 6)
    assert half.shapes == (Shape("box", [2, 3, 4, 6]),)


def test_hulls_are_around_all_that_has_an_extent() -> None:
    def hull(*shapes: Shape) -> set[tuple[float, ...]]:
        return {tuple(point) for point in drawn(*shapes).hull(60, 80).tolist()}

    dented = Shape("polygon", [10, 10, 30, 10, 20, 14, 30, 40, 10, 30])
    corners = {(10, 10), (30, 10), (30, 40), (10, 30)}
    assert hull(dented) == corners
    assert hull(dented, Shape("hole", [12, 12, 14, 12, 14, 14]), Shape("point", [70, 50])) == corners
    assert hull(dented, Shape("box", [50, 20, 60, 30])) == corners | {(60, 20), (60, 30)}
    # A box says nothing about its object's outline, nor does one that was written as a polygon.
    assert hull(Shape("box", [1, 2, 3, 4])) == hull(Shape("point", [3, 4])) == set()
    assert hull(Shape("polygon", [2, 1, 5, 1, 5, 3, 2, 3])) == set()
    assert hull(Shape("polygon", [0, 0, 1e14, 0, 0, 1e14])) == set()  # the whole image


def test_hulls_of_masks_are_around_whole_pixels() -> None:
    mask = np.zeros((6, 9), bool)
    mask[1, 2:5] = mask[2, 3] = True
    found = drawn(Shape("runs", runs_of_mask(mask))).hull(6, 9)
    expected = {(2, 1), (5, 1), (2, 2), (5, 2), (3, 3), (4, 3)}
    assert {tuple(point) for point in found.tolist()} == expected
    assert len(drawn(Shape("runs", [54])).hull(6, 9)) == 0
