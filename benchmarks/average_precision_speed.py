"""What the average precision of boxes costs, against pycocotools and other programs.

    python benchmarks/average_precision_speed.py [--images 5000 --boxes 100 --classes 80]

One thread, one run each; all must have the same AP. hotcoco and faster-coco-eval are timed where they are
installed. Reading files is not included.
"""

import argparse
import contextlib
import io
import time

import numpy as np

from limner.core.boxes import boxes_of
from limner.metrics.average_precision import AveragePrecision
from limner.metrics.object_overlaps import FoundObjects, compare_boxes

SHAPE = (640, 640)
BLOCK = 500
"""Number of images that are compared at once."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("images", 5000), ("boxes", 100), ("classes", 80), ("objects", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    images = [
        image(rng, arguments.objects, arguments.boxes, arguments.classes) for _ in range(arguments.images)
    ]
    print("| program | seconds | AP |\n| --- | --- | --- |")
    for name, score in (("limner", ours), ("pycocotools", pycocotools), ("hotcoco", hotcoco)):
        try:
            seconds, value = score(images, arguments.classes)
        except ImportError:
            print(f"| {name} | not installed | |")
            continue
        print(f"| {name} | {seconds:.2f} | {value:.6f} |", flush=True)


def image(rng, objects, boxes, classes):
    """Return truth, found boxes (left, top, width, height), labels and scores, as of a mediocre detector."""
    count = int(rng.poisson(objects))
    corner = rng.integers(0, 500, (count, 2))
    true = np.concatenate([corner, corner + rng.integers(8, 140, (count, 2))], 1)
    labels = rng.integers(0, classes, count)
    near = rng.integers(0, count, boxes // 2) if count else np.zeros(0, int)
    moved = true[near] + rng.integers(-8, 9, (len(near), 4))
    of_moved = np.where(rng.random(len(near)) < 0.7, labels[near], rng.integers(0, classes, len(near)))
    others = boxes - len(near)
    corner = rng.integers(0, 500, (others, 2))
    found = np.concatenate([moved, np.concatenate([corner, corner + rng.integers(8, 140, (others, 2))], 1)])
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    of = np.concatenate([of_moved, rng.integers(0, classes, others)])
    truth = boxes_of(true.tolist(), labels.tolist(), (rng.random(count) < 0.02).tolist(), shape=SHAPE)
    return truth, found.astype(np.float32), of, rng.random(boxes).astype(np.float32)


def ours(images, classes):
    began = time.perf_counter()
    metric = AveragePrecision(classes, kind="boxes")
    for start in range(0, len(images), BLOCK):
        truths, *found = zip(*images[start : start + BLOCK], strict=True)
        metric.add_images(compare_boxes(truths, [FoundObjects(*one) for one in zip(*found, strict=True)]))
    return time.perf_counter() - began, metric.compute().ap


def coco_rows(images, classes):
    """Return a data set and results in COCO's form."""
    true_rows, found_rows = [], []
    for number, (truth, found, labels, scores) in enumerate(images, start=1):
        for box, label, crowd in zip(truth.xyxy.tolist(), truth.labels.tolist(), truth.is_crowd, strict=True):
            row = {"id": len(true_rows) + 1, "image_id": number, "category_id": label, "iscrowd": int(crowd)}
            sides = [box[2] - box[0], box[3] - box[1]]
            true_rows.append(row | {"bbox": [*box[:2], *sides], "area": sides[0] * sides[1]})
        for box, label, score in zip(found.tolist(), labels.tolist(), scores.tolist(), strict=True):
            sides = [box[2] - box[0], box[3] - box[1]]
            row = {"image_id": number, "category_id": label, "score": score}
            found_rows.append(row | {"bbox": [*box[:2], *sides]})
    data = {
        "images": [{"id": i + 1, "height": SHAPE[0], "width": SHAPE[1]} for i in range(len(images))],
        "annotations": true_rows,
        "categories": [{"id": k, "name": str(k)} for k in range(classes)],
    }
    return data, found_rows


def pycocotools(images, classes):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return timed(COCO, COCOeval, *coco_rows(images, classes))


def hotcoco(images, classes):
    from hotcoco import COCO, COCOeval

    return timed(COCO, COCOeval, *coco_rows(images, classes))


def timed(coco, judge_of, data, found):
    """Return the seconds of matching and accumulation, without reading, and the AP."""
    with contextlib.redirect_stdout(io.StringIO()):
        whole = coco()
        whole.dataset = data
        whole.createIndex()
        judge = judge_of(whole, whole.loadRes(found), "bbox")
        began = time.perf_counter()
        judge.evaluate()
        judge.accumulate()
        seconds = time.perf_counter() - began
        judge.summarize()
    return seconds, judge.stats[0]


if __name__ == "__main__":
    main()
