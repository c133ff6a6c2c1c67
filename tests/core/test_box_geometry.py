import pytest
import torch

from limner.core.box_geometry import box_areas, box_intersections, box_ious, paired_generalized_ious

BOXES = torch.tensor([[0.0, 0, 10, 10], [5, 5, 15, 15], [20, 20, 30, 40], [4, 4, 4, 9]])


def test_overlaps_by_hand():
    assert box_areas(BOXES).tolist() == [100, 100, 200, 0]
    assert box_intersections(BOXES, BOXES)[0].tolist() == [100, 25, 0, 0]
    assert box_ious(BOXES, BOXES)[0].tolist() == pytest.approx([1, 25 / 175, 0, 0])
    assert box_ious(BOXES[3:], BOXES[3:]).item() == 0  # of nothing with nothing


def test_the_generalised_iou_subtracts_what_neither_covers():
    iou, generalized = paired_generalized_ious(BOXES[[0, 0, 0]], BOXES[[0, 1, 2]])
    assert iou.tolist() == pytest.approx([1, 25 / 175, 0])
    # The box around the second pair has 225 pixels, of which they cover 175; around the third 1200 and 300.
    assert generalized.tolist() == pytest.approx([1, 25 / 175 - 50 / 225, -900 / 1200])
