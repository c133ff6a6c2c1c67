import numpy as np
import pytest

from limner.core.boxes import Boxes, boxes_of
from limner.core.label_map import LabelMap
from limner.core.sample import Sample
from limner.core.targets import Move
from limner.formats.drawn import box_of_mask, hull_of_mask
from limner.transforms.quarter_turn import QuarterTurn, QuarterTurnParams
from limner.transforms.rotate import Rotate, RotateParams
from limner.transforms.scale_crop import CropParams, ScaleCrop


def test_boxes_keep_order_and_flags() -> None:
    boxes = boxes_of([[0, 0, 2, 3], [1, 1, 1, 5]], [4, 7], [False, True], shape=(6, 9))
    assert boxes.xyxy.dtype == np.float32
    assert boxes.areas.tolist() == [6, 0]  # 2 x 3; no width
    kept = boxes.select(np.array([False, True]))
    assert (kept.labels.tolist(), kept.is_crowd.tolist(), kept.is_difficult.tolist()) == (
        [7],
        [True],
        [False],
    )
    assert len(boxes_of([], [], shape=(6, 9))) == 0


def turned(boxes: Boxes, degrees: float) -> Boxes:
    """Rotate boxes in an image around its middle."""
    sample = Sample("a", np.zeros((*boxes.shape, 1), np.uint8), (boxes,))
    found = Rotate(180).apply(sample, RotateParams(degrees)).get(Boxes)
    assert found is not None
    return found


def test_a_turned_box_is_that_of_the_ellipse_inside_it() -> None:
    # Half a box is 20 x 10. By 30 degrees, cos^2 is 3/4 and sin^2 1/4: half the width is
    # sqrt(400 * 3/4 + 100 / 4) = sqrt(325), and half the height sqrt(400 / 4 + 100 * 3/4) = sqrt(175).
    found = turned(boxes_of([[30, 40, 70, 60]], [0], shape=(100, 100)), 30.0)
    half = np.sqrt([325, 175])
    np.testing.assert_allclose(found.xyxy[0], [*(50 - half), *(50 + half)], rtol=1e-6)


@pytest.mark.parametrize("degrees", [1.0, 45.0, -77.0])
def test_a_square_box_stays_the_same_at_any_angle(degrees: float) -> None:
    found = turned(boxes_of([[40, 40, 60, 60]], [0], shape=(100, 100)), degrees)
    np.testing.assert_allclose(found.xyxy[0], [40, 40, 60, 60], rtol=1e-6)


def test_a_crowd_has_no_shape_so_that_its_box_stays_around_the_corners() -> None:
    found = turned(boxes_of([[40, 40, 60, 60]], [0], [True], shape=(100, 100)), 45.0)
    half = 10 * np.sqrt(2)
    np.testing.assert_allclose(found.xyxy[0], [*[50 - half] * 2, *[50 + half] * 2], rtol=1e-6)


def test_a_sheared_box_by_hand() -> None:
    # x grows by half of y: half a box of 20 x 10 becomes sqrt(400 + 25) wide and stays 10 high.
    boxes = boxes_of([[30, 40, 70, 60]], [0], shape=(100, 200))
    move = Move((100, 200), lambda array, outside: array, lambda points: points @ [[1, 0], [0.5, 1]])
    half = np.sqrt(425)
    np.testing.assert_allclose(boxes.moved(move).xyxy[0], [75 - half, 40, 75 + half, 60], rtol=1e-6)


def test_right_angles_are_exact_whatever_the_outline() -> None:
    boxes = boxes_of(
        [[3.25, 5, 20, 31.5], [8, 2, 9.125, 40]],
        [0, 1],
        shape=(41, 41),
        outlines=[np.array([[4, 6], [19, 7], [12, 30]]), np.empty((0, 2))],
    )
    sample = Sample("a", np.zeros((41, 41, 1), np.uint8), (boxes,))
    for quarters in range(4):
        exact = QuarterTurn().apply(sample, QuarterTurnParams(quarters)).get(Boxes)
        assert exact is not None
        np.testing.assert_array_equal(turned(boxes, 90.0 * quarters).xyxy, exact.xyxy)
        np.testing.assert_array_equal(exact.xyxy[:, 2:] - exact.xyxy[:, :2], sides(boxes, quarters))


def sides(boxes: Boxes, quarters: int) -> np.ndarray:
    """Return width and height of each box, exchanged by odd quarter turns."""
    wide = boxes.xyxy[:, 2:] - boxes.xyxy[:, :2]
    return wide[:, ::-1] if quarters % 2 else wide


@pytest.mark.parametrize("degrees", [8.0, -33.0, 60.0, 179.0])
@pytest.mark.parametrize("start", [(0, 0), (25, 30), (-10, 44)])
def test_a_box_with_an_outline_is_that_of_the_turned_mask(degrees: float, start: tuple[int, int]) -> None:
    # A slanted ellipse, of which two of the crops cut a part off before it is turned.
    y, x = np.mgrid[:100, :120] + 0.5
    along, across = (x - 55) * 0.8 + (y - 48) * 0.6, (y - 48) * 0.8 - (x - 55) * 0.6
    mask = (along / 38) ** 2 + (across / 9) ** 2 <= 1
    boxes = boxes_of([box_of_mask(mask)], [0], shape=mask.shape, outlines=[hull_of_mask(mask)])
    sample = Sample("a", np.zeros((100, 120, 1), np.uint8), (LabelMap(mask.astype(np.uint8)), boxes))
    crop = ScaleCrop((64, 80)).apply(sample, CropParams(start, (64, 80)))
    found = Rotate(180).apply(crop, RotateParams(degrees))
    labels, box = found.get(LabelMap), found.get(Boxes)
    assert labels is not None
    assert box is not None
    np.testing.assert_allclose(box.xyxy[0], box_of_mask(labels.labels == 1), atol=2)


def test_outlines_follow_their_boxes() -> None:
    triangle, square = np.array([[1, 1], [9, 1], [5, 8]]), np.array([[20, 20], [30, 20], [30, 30], [20, 30]])
    boxes = boxes_of(
        [[1, 1, 9, 8], [12, 2, 18, 9], [20, 20, 30, 30]],
        [0, 1, 2],
        shape=(40, 40),
        outlines=[triangle, np.empty((0, 2)), square],
    )
    kept = boxes.select(np.array([True, False, True])).outlines
    assert kept is not None
    assert kept.lengths.tolist() == [3, 4]
    np.testing.assert_array_equal(kept.points, [*triangle, *square])
    sample = Sample("a", np.zeros((40, 40, 1), np.uint8), (boxes,))
    cropped = ScaleCrop((20, 20)).apply(sample, CropParams((15, 10), (20, 20))).get(Boxes)  # the last one
    assert cropped is not None
    assert cropped.outlines is not None
    assert cropped.labels.tolist() == [2]
    np.testing.assert_array_equal(cropped.outlines.points, square - [10, 15])
    assert {array.size for array in cropped.arrays()} >= {8}  # counted by caches


def test_an_object_of_which_nothing_is_in_its_box_has_no_outline() -> None:
    far = np.array([[70, 70], [80, 70], [75, 80]])
    found = turned(boxes_of([[40, 40, 60, 60]], [0], shape=(100, 100), outlines=[far]), 20.0)
    np.testing.assert_allclose(found.xyxy[0], [40, 40, 60, 60], rtol=1e-6)


def test_an_object_whose_outline_is_turned_out_of_the_image_is_left_out() -> None:
    # It is a sliver in the upper left corner, which leaves the image by 45 degrees; the ellipse inside its
    # box would still be seen.
    corner, box = np.array([[0, 0], [6, 0], [0, 6]]), [[0, 0, 40, 40]]
    assert len(turned(boxes_of(box, [0], shape=(100, 100)), 45.0)) == 1
    assert len(turned(boxes_of(box, [0], shape=(100, 100), outlines=[corner]), 45.0)) == 0
