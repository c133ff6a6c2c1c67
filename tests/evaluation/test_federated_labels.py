"""LVIS labels some classes of each image: what is found of others is neither right nor wrong.

The reference follows the rules of LVIS (Gupta et al., CVPR 2019), class by class and box by box.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from limner.core.boxes import boxes_of
from limner.core.labels import LabelClass, LabelTable
from limner.core.prediction import BoxPrediction, SegmentPrediction
from limner.core.sample import Sample
from limner.core.segments import segments_of
from limner.evaluation.detection_scorer import DetectionScorer
from limner.evaluation.instance_scorer import InstanceScorer

NUM_CLASSES, SIDE = 4, 60
LABELS = LabelTable(
    tuple(LabelClass(f"class {k}", (k,), (k, 0, 0), is_thing=True) for k in range(NUM_CLASSES))
)
IMAGE = np.zeros((SIDE, SIDE, 3), np.uint8)


@dataclass(frozen=True)
class Case:
    """An image: true and found boxes, the classes known to be absent, and those drawn in part."""

    true: list
    true_labels: list
    found: list
    labels: list
    scores: list
    absent: set
    partial: set

    @property
    def complete(self):
        return frozenset((self.absent | {*self.true_labels}) - self.partial)


def a_case(rng):
    true, true_labels = [], []
    for label in rng.permutation(NUM_CLASSES)[: rng.integers(0, 3)].tolist():
        for _ in range(rng.integers(1, 4)):
            x, y = rng.integers(0, SIDE - 20, 2).tolist()
            true.append([x, y, x + int(rng.integers(6, 20)), y + int(rng.integers(6, 20))])
            true_labels.append(label)
    found, labels = [], []
    for box, label in zip(true, true_labels, strict=True):
        if rng.random() < 0.8:
            found.append(np.clip(np.add(box, rng.integers(-2, 3, 4)), 0, SIDE).tolist())
            labels.append(label)
    for _ in range(rng.integers(0, 6)):
        x, y = rng.integers(0, SIDE - 20, 2).tolist()
        found.append([x, y, x + 12, y + 9])
        labels.append(int(rng.integers(NUM_CLASSES)))
    absent = {k for k in range(NUM_CLASSES) if k not in true_labels and rng.random() < 0.5}
    partial = {k for k in true_labels if rng.random() < 0.3}
    return Case(true, true_labels, found, labels, rng.permutation(len(found)).tolist(), absent, partial)


def iou(a, b):
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(wide, 0) * max(high, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def nearest(box, free):
    """Return the free true box that overlaps most, the last of equals, and its IoU."""
    return max(((iou(box, other), number) for number, other in free.items()), default=(0, None))


def reference_ap(cases, threshold):
    """Return the mean AP over the classes with a true object, at an IoU."""
    found_aps = []
    for k in range(NUM_CLASSES):
        num_true, rows = 0, []
        for number, case in enumerate(cases):
            true = [box for box, label in zip(case.true, case.true_labels, strict=True) if label == k]
            num_true += len(true)
            if not true and k not in case.absent:
                continue  # not labelled in this image
            every = zip(case.scores, case.found, case.labels, strict=True)
            own = sorted([(score, box) for score, box, label in every if label == k], reverse=True)
            free = dict(enumerate(true))
            for score, box in own:
                overlap, best = nearest(box, free)
                if overlap >= threshold:
                    del free[best]
                    rows.append((-score, number, True))
                elif k not in case.partial:
                    rows.append((-score, number, False))
        if not num_true:
            continue
        right = np.cumsum([is_right for *_, is_right in sorted(rows)])
        recall, precision = right / num_true, right / np.arange(1, len(right) + 1)
        levels = [precision[recall >= level - 1e-9].max(initial=0) for level in np.linspace(0, 1, 101)]
        found_aps.append(np.mean(levels))
    return np.mean(found_aps)


def scored(cases):
    scorer = DetectionScorer(LABELS)
    for number, case in enumerate(cases):
        truth = boxes_of(case.true, case.true_labels, shape=(SIDE, SIDE), complete=case.complete)
        order = np.argsort(-np.array(case.scores), kind="stable").astype(np.int64)
        prediction = BoxPrediction(
            f"{number}",
            np.array(case.found, np.float32).reshape(-1, 4)[order],
            np.array(case.labels, np.int64)[order],
            np.array(case.scores, np.float32)[order] / 100 + 0.5,
            (SIDE, SIDE),
        )
        scorer.score(prediction, Sample(f"{number}", IMAGE, (truth,)))
    return scorer.compute()


@pytest.mark.parametrize("seed", range(5))
def test_the_average_precision_is_that_of_lvis(seed):
    rng = np.random.default_rng(seed)
    cases = [a_case(rng) for _ in range(12)]
    # Equal scores of different images would need the same order.
    cases = [replace(case, scores=[s + n / 100 for s in case.scores]) for n, case in enumerate(cases)]
    found = scored(cases)
    assert found.boxes.ap50 == pytest.approx(reference_ap(cases, 0.5), abs=1e-9)
    assert found.boxes.ap75 == pytest.approx(reference_ap(cases, 0.75), abs=1e-9)
    everywhere = scored([replace(case, absent={*range(NUM_CLASSES)}, partial=set()) for case in cases])
    assert everywhere.boxes.ap50 <= found.boxes.ap50


def test_found_objects_of_classes_that_are_not_labelled_are_no_mistakes():
    case = Case([[5, 5, 25, 25]], [0], [[5, 5, 25, 25], [30, 30, 50, 50]], [0, 1], [2, 1], set(), set())
    found = scored([case])
    assert found.counts.matches.precision[0] == 1 and found.voc[0] == 1
    assert found.confusion.sum() == 1 and found.froc.mean == 1
    assert scored([replace(case, absent={1})]).counts.matches.precision[0] == 0.5


def test_masks_are_scored_alike():
    masks = np.zeros((2, SIDE, SIDE), bool)
    masks[0, 5:25, 5:25] = masks[1, 30:50, 30:50] = True
    prediction = SegmentPrediction("a", masks, np.array([0, 1]), np.array([0.8, 0.9], np.float32))
    precisions = []
    for complete in (frozenset({0}), frozenset({0, 1})):
        truth = replace(segments_of(masks[:1], [0], shape=(SIDE, SIDE)), complete=complete)
        scorer = InstanceScorer(LABELS)
        scorer.score(prediction, Sample("a", IMAGE, (truth,)))
        found = scorer.compute()
        precisions.append(float(found.counts.matches.precision[0]))
        assert found.masks.ap == pytest.approx(1) and found.overall()["ar_1"] == 1
    assert precisions == [1, 0.5]
