"""Matching in rounds is that of pycocotools one by one: the scores of data sets are equal to the last bit."""

import contextlib
import io

import numpy as np
import pytest

from limner.core.boxes import Boxes, boxes_of
from limner.metrics.average_precision import AveragePrecision
from limner.metrics.object_matching import match_objects
from limner.metrics.object_overlaps import FoundObjects, compare_boxes

SHAPE = (300, 300)


def case(rng, *, num_classes):
    """A few images with boxes of all sizes, many of them near each other, with equal scores and IoUs."""
    return [image(rng, num_classes) for _ in range(int(rng.integers(1, 4)))]


def image(rng, num_classes):
    """Return truth, found boxes (N, 4), labels and scores of an image, which may have neither."""
    num_true = int(rng.integers(0, 8)) if rng.random() < 0.85 else 0
    true = random_boxes(rng, num_true)
    labels = rng.integers(0, num_classes, num_true)
    crowd = rng.random(num_true) < 0.2
    near = true[rng.integers(0, num_true, int(rng.integers(0, 12)))] if num_true else np.zeros((0, 4))
    moved = near + rng.integers(-4, 5, near.shape) * rng.choice([0, 0.25, 1], (len(near), 1))
    found = np.concatenate([moved, random_boxes(rng, int(rng.integers(0, 5)))])
    found = found[(found[:, 2:] > found[:, :2]).all(1)]
    of = rng.integers(0, num_classes, len(found))
    scores = rng.choice([0.25, 0.5, 0.75, 1.0], len(found)) if rng.random() < 0.5 else rng.random(len(found))
    truth = boxes_of(true.tolist(), labels.tolist(), crowd.tolist(), shape=SHAPE)
    return truth, found.astype(np.float32), of, scores.astype(np.float32)


def random_boxes(rng, count):
    corner = rng.integers(0, 100, (count, 2)) / rng.choice([1, 4])
    return np.concatenate([corner, corner + rng.integers(1, 160, (count, 2)) / rng.choice([1, 4])], 1)


def ours(images, num_classes):
    metric = AveragePrecision(num_classes, kind="boxes")
    parts = [images] if len(images) % 2 else [[image] for image in images]  # at once, or one by one
    for part in parts:
        found = [FoundObjects(*image[1:]) for image in part]
        metric.add_images(compare_boxes([image[0] for image in part], found))
    scores = metric.compute()
    aps = (scores.ap, scores.ap50, scores.ap75, scores.ap_small, scores.ap_medium, scores.ap_large)
    return np.nan_to_num([*aps, *scores.ar, *scores.ar_by_size], nan=-1)


def theirs(images, num_classes):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    true_rows, found_rows = [], []
    for number, (truth, found, labels, scores) in enumerate(images, start=1):
        for box, label, crowd in zip(sized(truth.xyxy), truth.labels, truth.is_crowd, strict=True):
            row = {"id": len(true_rows) + 1, "image_id": number, "category_id": int(label), "bbox": box}
            true_rows.append(row | {"area": box[2] * box[3], "iscrowd": int(crowd)})
        for box, label, score in zip(sized(found), labels, scores, strict=True):
            found_rows.append(
                {"image_id": number, "category_id": int(label), "bbox": box, "score": float(score)}
            )
    with contextlib.redirect_stdout(io.StringIO()):
        whole = COCO()
        whole.dataset = {
            "images": [{"id": i + 1} for i in range(len(images))],
            "annotations": true_rows,
            "categories": [{"id": k} for k in range(num_classes)],
        }
        whole.createIndex()
        judge = COCOeval(whole, whole.loadRes(found_rows) if found_rows else COCO(), "bbox")
        judge.params.imgIds = list(range(1, len(images) + 1))
        judge.params.catIds = list(range(num_classes))
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats


def sized(xyxy):
    corners = np.asarray(xyxy, np.float64)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1).tolist()


@pytest.mark.parametrize("seeds", [range(120), pytest.param(range(120, 10_000), marks=pytest.mark.long)])
def test_equals_pycocotools_to_the_last_bit(seeds):
    pytest.importorskip("pycocotools")
    for seed in seeds:
        rng = np.random.default_rng(seed)
        num_classes = int(rng.integers(1, 4))
        images = case(rng, num_classes=num_classes)
        assert ours(images, num_classes).tolist() == list(theirs(images, num_classes)), seed


def test_more_than_a_hundred_detections_of_a_class():
    pytest.importorskip("pycocotools")
    rng = np.random.default_rng(0)
    true = random_boxes(rng, 60)
    found = np.repeat(true, 3, axis=0) + rng.integers(-3, 4, (180, 4))
    found = found[(found[:, 2:] > found[:, :2]).all(1)].astype(np.float32)
    truth = boxes_of(true.tolist(), [0] * 60, shape=SHAPE)
    images = [(truth, found, np.zeros(len(found), np.int64), rng.random(len(found)).astype(np.float32))]
    assert ours(images, 1).tolist() == list(theirs(images, 1))


def truth(*rows, crowd=(), difficult=()) -> Boxes:
    count = range(len(rows))
    return boxes_of(
        rows, [0] * len(rows), [i in crowd for i in count], [i in difficult for i in count], shape=SHAPE
    )


def matched(true, found, scores):
    labels = np.zeros(len(found), np.int64)
    objects = FoundObjects(np.array(found, np.float32), labels, np.array(scores))
    return match_objects(compare_boxes([true], [objects]))


def test_a_refused_box_takes_the_next_best():
    # Both overlap the first true box most; the one with the higher score takes it, the other the second.
    found = matched(truth([0, 0, 10, 10], [0, 2, 10, 12]), [[0, 0, 10, 10.5], [0, 0, 10, 10]], [0.9, 0.8])
    # IoU of the second with the second true box is 80 / 120.
    assert found.is_right[0, 0].tolist() == [True, True]
    assert found.is_right[0, 4].tolist() == [True, False]  # at 0.70
    np.testing.assert_allclose(found.ious, [100 / 105, 80 / 120])


def test_a_difficult_object_may_be_found_any_number_of_times_or_not_at_all():
    true = truth([0, 0, 10, 10], [50, 50, 60, 60], difficult=(1,))
    found = matched(true, [[50, 50, 60, 60], [50, 50, 60, 61], [0, 0, 10, 10]], [0.9, 0.8, 0.7])
    assert found.is_excused[0, 0].tolist() == [True, True, False]
    assert found.counts[0].tolist() == [True, False]


def test_of_equal_overlaps_the_last_true_box_is_taken_as_in_pycocotools():
    # The last of two equal boxes is taken; if that is a difficult one, the other, which counts, is.
    box = [0, 0, 10, 10]
    assert matched(truth(box, box), [box], [0.9]).is_right[0, 0].tolist() == [True]
    assert matched(truth(box, box, difficult=(1,)), [box, box], [0.9, 0.8]).is_right[0, 0].tolist() == [
        True,
        False,
    ]
