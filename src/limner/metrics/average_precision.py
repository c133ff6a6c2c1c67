"""COCO's average precision of masks and of boxes, one image at a time.

The computation is that of pycocotools: its matching runs on each image as it arrives, and only the scores and
matches of the detections are stored, not their masks; its accumulation runs over those at the end. This needs
a few dozen bytes per detection.

The size of an object is the area of what is compared: the pixels of a mask, width times height of a box, of
true objects and detections alike. pycocotools does the same with detections, and takes the size of true
objects from `area` in the annotation file; the box AP here is that of a file with the areas of boxes. COCO's
own files have the areas of masks, so the box AP by size published for COCO sorts true objects by their masks.

Shape legend: K classes, N objects of one image, A area ranges.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from limner.core.errors import MissingPartError
from limner.core.segments import Segments
from limner.metrics.confusion import Counts
from limner.metrics.precision_bootstrap import draw_weights, weighted_precision
from limner.metrics.segment_matches import coco_match_counts
from limner.metrics.spread import Interval, interval

MOST_DETECTIONS = 100
"""Maximum number of detections per image and class for the AP, as in COCO; the highest scores count."""

Kind = Literal["masks", "boxes"]


@dataclass(frozen=True)
class PrecisionScores:
    """Average precision over recall, 0 to 1; NaN if there is no true object.

    Attributes:
        ap: Mean over the classes and over the IoU thresholds 0.50, 0.55, ..., 0.95.
        ap50: AP at an IoU of 0.5.
        ap75: AP at an IoU of 0.75.
        ap_small: AP of objects with an area below 32 x 32 pixels.
        ap_medium: AP of objects from 32 x 32 to 96 x 96 pixels.
        ap_large: AP of larger objects.
        by_class: (K) AP of each class.
        by_class_50: (K) AP50 of each class.
        num_crowded: Number of images with more true objects of one class than `MOST_DETECTIONS`.
        most_objects: Maximum number of true objects of one class in an image.
        ap_of_all: AP of all detections, without COCO's limit; computed if there are such images, else `ap`.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    by_class: npt.NDArray[np.float64]
    by_class_50: npt.NDArray[np.float64]
    num_crowded: int = 0
    most_objects: int = 0
    ap_of_all: float = float("nan")

    def overall(self, prefix: str = "") -> dict[str, float]:
        """Return the scores over all classes by name; `prefix` tells those of boxes from those of masks."""
        names = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
        return {f"{prefix}{name}": float(getattr(self, name)) for name in names}


class AveragePrecision:
    """Accumulates detections and true objects over images.

    Args:
        num_classes: K.
        kind: Whether masks or their bounding boxes are compared, and which of the two tells an object's size.
    """

    def __init__(self, num_classes: int, *, kind: Kind = "masks") -> None:
        self.num_classes = num_classes
        self.kind = kind
        self.reset()

    @property
    def num_images(self) -> int:
        """Number of images so far."""
        return len(self._images)

    def update(
        self,
        truth: Segments,
        *,
        masks: npt.NDArray[np.bool_],
        labels: npt.NDArray[np.int64],
        scores: npt.NDArray[np.float32],
        least_score: float = 0.5,
    ) -> Counts:
        """Add one image, and return the match counts of its confident objects (see `segment_matches`).

        Args:
            truth: Its objects with trained labels, including crowds.
            masks: (N, H, W) of the detections.
            labels: (N,) 0..K-1.
            scores: (N,) any order.
            least_score: Objects with lower scores count for the AP, but not in the returned counts.
        """
        number = len(self._images) + 1
        judge = _judge(self.kind, self.num_classes)
        judge.params.imgIds = [number]
        judge.params.maxDets = [max(MOST_DETECTIONS, len(labels))]  # of which overlaps are computed
        truth = truth.select(truth.areas > 0)
        describe = partial(_described, kind=self.kind, image=number)
        true = describe(truth.masks(), truth.labels, np.ones(len(truth)), truth.is_crowd)
        found = describe(masks, labels, scores, np.zeros(len(labels), bool))
        for row in true:
            judge._gts[number, row["category_id"]].append(row)
        for row in found:
            judge._dts[number, row["category_id"]].append(row)
        classes = {row["category_id"] for row in (*true, *found)}
        judge.ious = {(number, k): judge.computeIoU(number, k) for k in classes}

        def matched(label: int, area: list[float], most: int) -> dict[str, Any] | None:
            return judge.evaluateImg(number, label, area, most) if label in classes else None

        ranges, every_class = judge.params.areaRng, range(self.num_classes)
        rows = [matched(k, area, MOST_DETECTIONS) for k in every_class for area in ranges]
        self._images.append(rows)
        whole = rows[:: len(ranges)]
        if len(labels) > MOST_DETECTIONS:  # the AP is of the first, but each object is found or missed
            whole = [matched(k, ranges[0], len(labels)) for k in every_class]
        self._of_all.append(whole)
        self._most_objects.append(int(np.bincount(truth.labels[~truth.is_crowd]).max(initial=0)))
        return coco_match_counts(judge, whole, least_score=least_score)

    def merge(self, other: "AveragePrecision") -> None:
        """Add the counts of another instance with the same classes."""
        assert (self.num_classes, self.kind) == (other.num_classes, other.kind)
        self._images += other._images
        self._of_all += other._of_all
        self._most_objects += other._most_objects

    def reset(self) -> None:
        """Reset all counts."""
        self._images: list[list[dict[str, Any] | None]] = []
        self._of_all: list[list[dict[str, Any] | None]] = []  # objects of all sizes, without the limit
        self._most_objects: list[int] = []  # of one class, for each image

    def intervals(self, names: Sequence[str], *, seed: int = 0) -> dict[str, Interval]:
        """Return ``ap``, ``ap50``, ``ap75`` and ``ap/k`` of class k -> 95 % bootstrap interval over images.

        Args:
            names: Names of the images in the order they were added; all different.
            seed: Random seed.
        """
        num_ranges = len(self._images[0]) // self.num_classes
        whole = [rows[::num_ranges] for rows in self._images]
        found = weighted_precision(whole, draw_weights(names, seed=seed))
        values = {"ap": found, "ap50": found[..., :1], "ap75": found[..., 5:6]}
        values |= {f"ap/{k}": found[:, k : k + 1] for k in range(self.num_classes)}
        return {name: interval(np.array([_mean(one) for one in part])) for name, part in values.items()}

    def compute(self) -> PrecisionScores:
        """Return the scores of all images so far."""
        if not self._images:
            nan, nothing = float("nan"), np.full(self.num_classes, np.nan)
            return PrecisionScores(nan, nan, nan, nan, nan, nan, nothing, nothing)
        judge = _judge(self.kind, self.num_classes)
        judge.params.imgIds = list(range(1, len(self._images) + 1))
        judge._paramsEval = judge.params
        # By class, then range, then image, as in pycocotools.
        judge.evalImgs = [row for rows in zip(*self._images, strict=True) for row in rows]
        _quietly(judge.accumulate)
        # (thresholds, recalls, K, A, limits); -1 if a class has no object in the range.
        precision = np.where(judge.eval["precision"] < 0, np.nan, judge.eval["precision"])[..., -1]
        whole = precision[:, :, :, 0]
        num_crowded = sum(most > MOST_DETECTIONS for most in self._most_objects)
        once = np.ones((1, len(self._images)), np.int64)
        return PrecisionScores(
            ap=_mean(whole),
            ap50=_mean(whole[0]),
            ap75=_mean(whole[5]),
            ap_small=_mean(precision[..., 1]),
            ap_medium=_mean(precision[..., 2]),
            ap_large=_mean(precision[..., 3]),
            by_class=np.array([_mean(whole[:, :, k]) for k in range(self.num_classes)]),
            by_class_50=np.array([_mean(whole[0, :, k]) for k in range(self.num_classes)]),
            num_crowded=num_crowded,
            most_objects=max(self._most_objects),
            ap_of_all=_mean(weighted_precision(self._of_all, once) if num_crowded else whole),
        )


def _judge(kind: Kind, num_classes: int) -> Any:  # noqa: ANN401 - pycocotools is not typed
    try:
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise MissingPartError(
            "pycocotools", "COCO's average precision", "pip install pycocotools"
        ) from error
    judge = COCOeval(iouType="segm" if kind == "masks" else "bbox")
    judge.params.catIds = list(range(num_classes))
    judge.params.maxDets = [1, 10, MOST_DETECTIONS]
    return judge


def _quietly(work: Any) -> None:  # noqa: ANN401
    """Call a function without its printed progress."""
    from contextlib import redirect_stdout
    from io import StringIO

    with redirect_stdout(StringIO()):
        work()


def _described(
    masks: npt.NDArray[np.bool_],
    labels: npt.NDArray[np.int64],
    scores: npt.NDArray[Any],
    is_crowd: npt.NDArray[np.bool_],
    *,
    kind: Kind,
    image: int,
) -> list[dict[str, Any]]:
    """Return COCO annotations; ids start at 1 because 0 means no match."""
    from pycocotools import mask as coco_mask

    rows = []
    for i, mask in enumerate(masks):
        runs = coco_mask.encode(np.asfortranarray(mask, np.uint8))
        box = np.array(coco_mask.toBbox(runs))  # (4,): left, top, width, height
        area = coco_mask.area(runs) if kind == "masks" else box[2] * box[3]
        rows.append(
            {
                "id": i + 1,
                "image_id": image,
                "category_id": int(labels[i]),
                "segmentation": runs,
                "bbox": box.tolist(),
                "area": float(area),
                "score": float(scores[i]),
                "iscrowd": int(is_crowd[i]),
                "ignore": int(is_crowd[i]),
            }
        )
    return rows


def _mean(values: npt.NDArray[np.float64]) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if there.size else float("nan")
