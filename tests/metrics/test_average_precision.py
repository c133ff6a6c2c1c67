import contextlib
import io
from collections.abc import Callable

import numpy as np
import pytest

from limner.core.segments import Segments, segments_of
from limner.metrics.average_precision import AveragePrecision

pytest.importorskip("pycocotools")


def box(top: int, left: int, bottom: int, right: int, size: tuple[int, int] = (40, 60)) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = True
    return mask


def found(*rows: tuple[np.ndarray, int, float]) -> dict[str, np.ndarray]:
    masks = np.array([mask for mask, _, _ in rows]) if rows else np.zeros((0, 40, 60), bool)
    labels = np.array([label for _, label, _ in rows], np.int64)
    return {"masks": masks, "labels": labels, "scores": np.array([s for _, _, s in rows], np.float32)}


def truth(*rows: tuple[np.ndarray, int], crowd: tuple[int, ...] = ()) -> Segments:
    is_crowd = [i in crowd for i in range(len(rows))]
    return segments_of([m for m, _ in rows], [k for _, k in rows], is_crowd, shape=(40, 60))


def test_by_hand() -> None:
    metric = AveragePrecision(3)
    # IoU of the first find is 0.8: a hit up to a threshold of 0.8, of which there are 7 (0.50 ... 0.80).
    metric.update(truth((box(0, 0, 10, 10), 0)), **found((box(0, 0, 10, 8), 0, 0.9)))
    scores = metric.compute()
    assert scores.ap50 == pytest.approx(1)
    assert scores.ap75 == pytest.approx(1)
    assert scores.ap == pytest.approx(0.7)
    assert np.isnan(scores.by_class[1])  # nothing of it in the truth
    # Another object, missed: at half of the recalls, precision is 1, at the others 0 (101 points, 0 ... 0.5).
    metric.update(truth((box(0, 0, 10, 10), 0)), **found())
    assert metric.compute().ap50 == pytest.approx(51 / 101)
    assert metric.compute().ap_small == pytest.approx(51 / 101 * 0.7)
    assert np.isnan(metric.compute().ap_large)


def test_more_than_100_objects_of_a_class_are_counted_and_all_of_them_judged() -> None:
    corners = [(row, column) for row in range(0, 40, 3) for column in range(0, 60, 3)][:150]
    boxes = [box(row, column, row + 2, column + 2) for row, column in corners]
    metric = AveragePrecision(2)
    metric.update(truth(*((one, 0) for one in boxes)), **found(*((one, 0, 0.9) for one in boxes)))
    metric.update(truth((boxes[0], 1)), **found((boxes[0], 1, 0.9)))
    other = AveragePrecision(2)
    other.merge(metric)
    scores = other.compute()
    assert (scores.num_crowded, scores.most_objects) == (1, 150)
    # COCO's limit leaves 100 of 150: precision 1 at the recalls 0, 0.01, ..., 0.66, and class 1 is perfect.
    assert scores.ap == pytest.approx((67 / 101 + 1) / 2)
    assert scores.ap_of_all == pytest.approx(1)
    other.reset()
    other.update(truth((boxes[0], 1)), **found((boxes[0], 1, 0.9)))
    assert other.compute().num_crowded == 0


def test_boxes_and_masks_differ() -> None:
    cross = box(10, 0, 12, 30) | box(0, 10, 30, 12)
    full = box(0, 0, 30, 30)
    for kind, expected in (("masks", 0.0), ("boxes", 1.0)):
        metric = AveragePrecision(1, kind=kind)
        metric.update(truth((full, 0)), **found((cross, 0, 0.5)))
        assert metric.compute().ap == pytest.approx(expected)


def test_finds_in_a_crowd_are_neither_right_nor_wrong() -> None:
    metric = AveragePrecision(1)
    rows = truth((box(0, 0, 10, 10), 0), (box(0, 30, 30, 60), 0), crowd=(1,))
    metric.update(rows, **found((box(5, 35, 9, 40), 0, 0.99), (box(0, 0, 10, 10), 0, 0.5)))
    assert metric.compute().ap == pytest.approx(1)


def scene(rng: np.random.Generator, count: int) -> tuple[Segments, dict[str, np.ndarray]]:
    rows, hits = [], []
    for number in range(count):
        top, left = int(rng.integers(0, 25)), int(rng.integers(0, 40))
        height, width = (int(n) for n in rng.integers(3, 14, 2))
        rows.append((box(top, left, top + height, left + width), number % 3))
        shift = int(rng.integers(0, 4))
        if rng.random() < 0.8:
            label = number % 3 if rng.random() < 0.9 else (number + 1) % 3
            hits.append((box(top, left + shift, top + height, left + width), label, float(rng.random())))
    return truth(*rows, crowd=(0,)), found(*hits)


def blob(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Return an irregular mask, of a few to a few thousand pixels: its box is much larger than its area."""
    mask = np.zeros(size, bool)
    row, column = rng.integers(0, size[0] - 12), rng.integers(0, size[1] - 12)
    side = int(rng.integers(12, 120))
    part = mask[row : row + side, column : column + side]
    part |= rng.random(part.shape) < rng.uniform(0.2, 0.9)
    return mask


def blobs(rng: np.random.Generator, count: int) -> tuple[Segments, dict[str, np.ndarray]]:
    size = (150, 180)
    rows = [(blob(rng, size), number % 3) for number in range(count)]
    hits = []
    for mask, label in rows:
        if rng.random() < 0.9:
            changed = mask & (rng.random(size) < rng.uniform(0.6, 1.0))
            hits.append((changed, label if rng.random() < 0.9 else 0, float(rng.random())))
    true = segments_of([m for m, _ in rows], [k for _, k in rows], [i == 0 for i in range(count)], shape=size)
    return true, found(*hits)


@pytest.mark.parametrize("make", [scene, blobs])
@pytest.mark.parametrize("kind", ["masks", "boxes"])
def test_equals_cocos_own_tool_on_whole_files(kind: str, make: Callable) -> None:
    from pycocotools import mask as coco_mask
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    rng = np.random.default_rng(4)
    metrics = [AveragePrecision(3, kind=kind), AveragePrecision(3, kind=kind)]
    true_rows, found_rows = [], []
    for image in range(1, 7):
        objects, detections = make(rng, 12)
        metrics[image > 3].update(objects, **detections)
        for i, mask in enumerate(objects.masks()):
            runs = coco_mask.encode(np.asfortranarray(mask, np.uint8))
            left, top, width, height = coco_mask.toBbox(runs).tolist()
            row = {"id": len(true_rows) + 1, "image_id": image, "category_id": int(objects.labels[i])}
            row |= {"segmentation": runs, "iscrowd": int(objects.is_crowd[i])}
            area = int(mask.sum()) if kind == "masks" else width * height
            true_rows.append(row | {"area": area, "bbox": [left, top, width, height]})
        for mask, label, score in zip(*detections.values(), strict=True):
            runs = coco_mask.encode(np.asfortranarray(mask, np.uint8))
            row = {"image_id": image, "category_id": int(label), "score": float(score)}
            drawn = {"segmentation": runs} if kind == "masks" else {"bbox": coco_mask.toBbox(runs).tolist()}
            found_rows.append(row | drawn)
    with contextlib.redirect_stdout(io.StringIO()):
        whole = COCO()
        images = [{"id": i, "height": 150, "width": 180} for i in range(1, 7)]
        categories = [{"id": k} for k in range(3)]
        whole.dataset = {"images": images, "annotations": true_rows, "categories": categories}
        whole.createIndex()
        judge = COCOeval(whole, whole.loadRes(found_rows), "segm" if kind == "masks" else "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    metrics[0].merge(metrics[1])
    scores = metrics[0].compute()
    ours = [scores.ap, scores.ap50, scores.ap75, scores.ap_small, scores.ap_medium, scores.ap_large]
    np.testing.assert_allclose(np.nan_to_num(ours, nan=-1), judge.stats[:6])
    assert 0.05 < scores.ap < 0.95
    if make is blobs:
        assert min(ours) > 0 and len({*ours[3:]}) == 3  # objects of all sizes
