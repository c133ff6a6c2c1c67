"""FROC, VOC's AP and confused boxes, by hand."""

import numpy as np
import pytest

from limner.core.boxes import boxes_of
from limner.metrics.froc import compute_froc
from limner.metrics.object_confusion import count_confused_boxes
from limner.metrics.object_overlaps import FoundObjects, compare_boxes
from limner.metrics.voc_precision import VocPrecision

SHAPE = (100, 100)


def test_froc_counts_false_objects_by_image():
    # By decreasing score: right, wrong, right, wrong, wrong, right; 4 true objects in 4 images.
    right = np.array([True, False, True, False, False, True])
    found = compute_froc(right, ~right, num_true=4, num_images=4)
    # 1/8 and 1/4 false ones per image are 0 and 1 in all, 1/2 are 2, 1 and more are all.
    assert found.sensitivities == (0.25, 0.5, 0.5, 0.75, 0.75, 0.75, 0.75)
    assert found.mean == pytest.approx((0.25 + 0.5 + 0.5 + 4 * 0.75) / 7)
    assert np.isnan(compute_froc(right, ~right, num_true=0, num_images=4).mean)


def found_in(metric, true, found, scores, *, difficult=()):
    labels = np.zeros(len(found), np.int64)
    truth = boxes_of(true, [0] * len(true), None, [i in difficult for i in range(len(true))], shape=SHAPE)
    boxes = np.array(found, np.float32).reshape(-1, 4)
    metric.add(compare_boxes([truth], [FoundObjects(boxes, labels, np.array(scores))]))


def test_voc_averages_the_precision_over_all_recalls():
    metric = VocPrecision(2)
    box, other = [0, 0, 10, 10], [50, 50, 70, 70]
    # Right, wrong (the second one for the same object), right: precisions 1, 1/2, 2/3 at recalls 1/2 and 1.
    found_in(metric, [box, other], [box, box, other], [0.9, 0.8, 0.7])
    assert metric.by_class()[0] == pytest.approx((1 + 2 / 3) / 2)
    assert np.isnan(metric.by_class()[1])
    # A difficult object counts neither as missed nor as found, however often it is.
    found_in(metric, [box], [box, box], [0.95, 0.94], difficult=(0,))
    assert metric.by_class()[0] == pytest.approx((1 + 2 / 3) / 2)


def test_voc_does_not_offer_a_taken_box_to_the_next():
    # COCO would give the second found box the second true one, with which its IoU is 2/3.
    metric = VocPrecision(1)
    found_in(metric, [[0, 0, 10, 10], [0, 2, 10, 12]], [[0, 0, 10, 10], [0, 0, 10, 10.5]], [0.9, 0.8])
    assert metric.by_class()[0] == pytest.approx(0.5)


def test_confused_boxes():
    truth = boxes_of(
        [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 90, 30]],
        [0, 1, 1, 0],
        [False, False, False, True],
        shape=SHAPE,
    )
    found = [[0, 0, 10, 10], [20, 0, 30, 9], [20, 0, 30, 10], [70, 10, 75, 15], [0, 50, 10, 60]]
    labels = np.array([0, 1, 0, 0, 1])
    counts = count_confused_boxes(truth, np.array(found, np.float32), labels, num_classes=2)
    # The second object is found best as class 0, so the box of its own class is of nothing; the third is
    # missed; the box in the crowd does not count.
    assert counts.tolist() == [[1, 0, 0], [1, 0, 1], [0, 2, 0]]
    assert counts[:2].sum() == 3  # each true object once
