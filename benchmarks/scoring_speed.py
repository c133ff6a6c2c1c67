"""What scoring one street scene costs: logits -> labels -> scores, against the usual ways.

    python benchmarks/scoring_speed.py [--height 1024 --width 2048 --classes 19]

Logits are at a quarter of the resolution, as DeepLab gives them. One thread; medians of 9. Where
mmsegmentation is installed, its IoUMetric counts the same image, as the int64 tensors that its own pipeline
hands over; its scores must equal ours.
"""

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from limner.core.labels import LabelClass, LabelTable
from limner.core.outputs import DenseLogits
from limner.core.prediction import SemanticPrediction
from limner.decoding.label_maps import semantic_labels
from limner.evaluation.semantic_scorer import SemanticScorer
from limner.metrics.confusion import count_pairs, pixel_scores


def median_ms(work: Callable[[], object], repeats: int = 9) -> float:
    """Return the median time of `work` in milliseconds, after one warm-up."""
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    return float(np.median(times))


def mmseg_count(truth: torch.Tensor, predicted: torch.Tensor, classes: int) -> Callable[[], object] | None:
    """Return what scores one image as mmsegmentation does, or None where it is not installed."""
    from openmmlab import stand_in_for_compiled_operators

    try:
        stand_in_for_compiled_operators()
        from mmseg.evaluation.metrics import IoUMetric
    except ImportError:
        return None
    metric = IoUMetric()
    metric.dataset_meta = {"classes": [f"class {i}" for i in range(classes)]}
    sample = {"pred_sem_seg": {"data": predicted.long()[None]}, "gt_sem_seg": {"data": truth.long()[None]}}

    def count() -> object:
        metric.results.clear()
        metric.process({}, [sample])
        return metric.results[0]

    return count


def main() -> None:
    """Time each way and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in (("height", 1024), ("width", 2048), ("classes", 19)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    height, width, classes = arguments.height, arguments.width, arguments.classes
    logits = torch.randn(1, classes, height // 4, width // 4, generator=torch.Generator().manual_seed(0))
    outputs, size = DenseLogits(logits), (height, width)
    draw = np.random.default_rng(0)
    coarse = draw.integers(0, classes, (height // 16, width // 16), dtype=np.uint8)
    truth = np.repeat(np.repeat(coarse, 16, 0), 16, 1)
    predicted = np.where(draw.random(size) < 0.1, 0, truth).astype(np.uint8)
    truth[: height // 10] = 255
    truth_tensor, predicted_tensor = torch.from_numpy(truth), torch.from_numpy(predicted)

    def plain_decode() -> torch.Tensor:
        return F.interpolate(logits, size=size, mode="bilinear", align_corners=False).argmax(1)

    def numpy_count() -> object:
        known = truth != 255
        pairs = classes * truth[known].astype(int) + predicted[known]
        return np.bincount(pairs, minlength=classes**2)

    def torch_count() -> object:
        known = truth_tensor != 255
        pairs = classes * truth_tensor[known].long() + predicted_tensor[known]
        return torch.bincount(pairs, minlength=classes**2)

    table = LabelTable(tuple(LabelClass(f"class {i}", (i,), (i, i, i)) for i in range(classes)))
    prediction = SemanticPrediction("scene", predicted)
    scorer = SemanticScorer(table, uncertainty=True)
    outlines = SemanticScorer(table, uncertainty=True, boundaries=True)
    same = (semantic_labels(outputs, size) == plain_decode()).float().mean()
    print(f"{height}x{width}, {classes} classes; labels agree in {100 * float(same):.4f} % of the pixels")
    theirs = mmseg_count(truth_tensor, predicted_tensor, classes)
    if theirs is not None:
        shared, union, *_ = theirs()
        iou = pixel_scores(count_pairs(truth, predicted, classes)).iou
        np.testing.assert_allclose(iou, (shared / union).numpy(), rtol=1e-6, equal_nan=True)
    times = {}
    for name, work in (
        ("decode: interpolate, argmax", plain_decode),
        ("decode: limner", lambda: semantic_labels(outputs, size)),
        ("count: numpy bincount", numpy_count),
        ("count: torch bincount", torch_count),
        ("count: limner", lambda: count_pairs(truth, predicted, classes)),
        ("scorer: as `limner evaluate`", lambda: scorer.update(prediction, truth)),
        ("scorer: with --boundaries", lambda: outlines.update(prediction, truth)),
        ("scorer: mmsegmentation", theirs),
    ):
        if work is not None:
            times[name] = median_ms(work)
            print(f"{name:32s}{times[name]:9.2f} ms")
    if theirs is not None:
        for name in ("count: limner", "scorer: as `limner evaluate`"):
            ratio = times["scorer: mmsegmentation"] / times[name]
            print(f"{name}: equal to IoUMetric, {ratio:.1f} times as fast")


if __name__ == "__main__":
    main()
