"""Scoring of boxes: COCO's and VOC's average precision, FROC, confusions, and the F1 of each image.

Shape legend: K classes, N found boxes, T true boxes.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.boxes import Boxes
from limner.core.labels import LabelTable
from limner.core.prediction import SCORE_THRESHOLD, BoxPrediction
from limner.core.sample import Sample
from limner.core.score_names import SCORES
from limner.evaluation.object_scores import IMAGE_COLUMNS, ObjectImageScores, object_notes
from limner.evaluation.scores_file import by_class_name, class_rows
from limner.evaluation.uncertainty import Uncertainty
from limner.metrics.average_precision import AveragePrecision, PrecisionScores
from limner.metrics.confusion import Counts
from limner.metrics.froc import Froc
from limner.metrics.object_confusion import count_confused_boxes
from limner.metrics.object_overlaps import FoundObjects, compare_boxes
from limner.metrics.segment_matches import MatchScores, empty_counts, match_scores
from limner.metrics.spread import Interval, Spread
from limner.metrics.voc_precision import VocPrecision


@dataclass(frozen=True)
class DetectionScores:
    """The scores of a whole dataset.

    Attributes:
        labels: The classes.
        num_images: Number of scored images.
        boxes: COCO's average precision and recall.
        voc: (K) VOC's AP of each class at an IoU of 0.5.
        froc: Sensitivity for tolerated numbers of false boxes.
        num_true: (K) number of true boxes, without crowds and difficult ones.
        num_found: (K) number of found boxes with any score.
        matches: Match scores of the boxes with a score of 0.5 or more.
        confusion: (K + 1, K + 1) of those boxes, rows truth and columns prediction, the last of each nothing.
        lowest_score: Lowest score of a found box; infinite if none was found.
        highest_score: Highest score of a found box.
        intervals: Score name -> its 95 % bootstrap interval over images.
        per_image: Score name -> its distribution over the images.
    """

    labels: LabelTable
    num_images: int
    boxes: PrecisionScores
    voc: npt.NDArray[np.float64]
    froc: Froc
    num_true: Counts
    num_found: Counts
    matches: MatchScores
    confusion: Counts
    lowest_score: float = math.inf
    highest_score: float = -math.inf
    intervals: dict[str, Interval] = field(default_factory=dict)
    per_image: dict[str, Spread] = field(default_factory=dict)

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield score name -> value, as validation logs them."""
        yield from self._overall().items()
        yield from by_class_name(self.labels.names, {"box_ap": self.boxes.by_class}).items()

    def _overall(self) -> dict[str, float]:
        known = self.voc[~np.isnan(self.voc)]
        others = {"voc_ap50": float(known.mean()) if known.size else math.nan, "froc": self.froc.mean}
        return self.boxes.overall("box_") | self.boxes.recalls("box_") | others | self.matches.overall()

    def to_dict(self) -> dict[str, Any]:
        """Return the content of scores.json, without the split."""
        columns = {
            "box_ap": self.boxes.by_class,
            "box_ap50": self.boxes.by_class_50,
            "voc_ap50": self.voc,
            "f1": self.matches.f1_by_class,
            "objects": self.num_true,
            "found_objects": self.num_found,
        }
        return {
            "task": "detection",
            "num_images": self.num_images,
            "classes": class_rows(self.labels.names, columns),
            **self._overall(),
            **self.matches.rows(),
            "froc_curve": self.froc.rows(),
            "object_confusion": self.confusion.tolist(),
            "notes": list(self._notes()),
            "intervals": self.intervals,
            "per_image": {name: asdict(spread) for name, spread in self.per_image.items()},
        }

    def _notes(self) -> Iterator[str]:
        """Return what makes scores undefined or misleading on these images."""
        return object_notes(
            self.labels,
            self.matches,
            self.boxes,
            num_true=self.num_true,
            num_found=self.num_found,
            lowest_score=self.lowest_score,
            highest_score=self.highest_score,
        )


class DetectionScorer:
    """Accumulates scores of predicted boxes against true ones.

    Args:
        labels: The classes.
        uncertainty: Whether to compute distributions over the images and confidence intervals; stores the
            names of the images.
    """

    rank_title = SCORES["f1"].column
    columns = IMAGE_COLUMNS

    def __init__(self, labels: LabelTable, *, uncertainty: bool = False) -> None:
        num_classes = labels.num_classes
        self.labels = labels
        self.num_images = 0
        self._matches = empty_counts(num_classes)
        self._names: list[str] = []
        self._uncertainty = Uncertainty(self._named, shape=self._matches.shape) if uncertainty else None
        self._boxes = AveragePrecision(num_classes, kind="boxes")
        self._voc = VocPrecision(num_classes)
        self._counts = np.zeros((2, num_classes), np.int64)
        self._confusion = np.zeros((num_classes + 1, num_classes + 1), np.int64)
        self._lowest, self._highest = math.inf, -math.inf

    def score(self, prediction: BoxPrediction, sample: Sample) -> ObjectImageScores:
        """Add one image, and return its scores."""
        truth = sample.get(Boxes)
        assert truth is not None, "boxes are scored against boxes"
        truth = truth.select(truth.areas > 0)
        xyxy, labels, scores = prediction.xyxy, prediction.labels, prediction.scores
        compared = compare_boxes([truth], [FoundObjects(xyxy, labels, scores)])
        matches = self._boxes.add(compared, least_score=SCORE_THRESHOLD)
        self._voc.add(compared)
        is_sure = scores >= SCORE_THRESHOLD
        num_classes = self.labels.num_classes
        self._confusion += count_confused_boxes(
            truth, xyxy[is_sure], labels[is_sure], num_classes=num_classes
        )
        self.num_images += 1
        self._counts[0] += np.bincount(truth.labels[~truth.is_ignored], minlength=num_classes)
        self._counts[1] += np.bincount(labels, minlength=num_classes)
        self._matches += matches
        self._lowest = min(self._lowest, float(scores.min(initial=math.inf)))
        self._highest = max(self._highest, float(scores.max(initial=-math.inf)))
        if self._uncertainty is not None:
            self._names.append(prediction.name)
            self._uncertainty.update(prediction.name, matches)
        return ObjectImageScores.of(prediction.name, matches)

    def _named(self, counts: Counts) -> dict[str, float]:
        """Return scores by name, from the counts of an image or of resampled images."""
        found = match_scores(counts)
        return found.overall() | by_class_name(self.labels.names, {"f1": found.f1_by_class})

    def merge(self, other: "DetectionScorer") -> None:
        """Add the counts of another scorer of the same classes."""
        assert self.labels.names == other.labels.names
        self._boxes.merge(other._boxes)
        self._voc.merge(other._voc)
        self._counts += other._counts
        self._confusion += other._confusion
        self._matches += other._matches
        self._names += other._names
        self._lowest, self._highest = min(self._lowest, other._lowest), max(self._highest, other._highest)
        self.num_images += other.num_images
        if self._uncertainty is not None and other._uncertainty is not None:
            self._uncertainty.merge(other._uncertainty)

    def compute(self) -> DetectionScores:
        """Return the scores of all images so far."""
        num_true, num_found = self._counts.copy()
        return DetectionScores(
            self.labels,
            self.num_images,
            self._boxes.compute(),
            self._voc.by_class(),
            self._boxes.froc(),
            num_true,
            num_found,
            match_scores(self._matches),
            self._confusion.copy(),
            self._lowest,
            self._highest,
            self._intervals(),
            {} if self._uncertainty is None else self._uncertainty.spreads(),
        )

    def _intervals(self) -> dict[str, Interval]:
        of_matches = {} if self._uncertainty is None else self._uncertainty.intervals()
        if not of_matches:
            return {}  # not asked for, or too few images, for AP too
        names = {f"ap/{k}": f"ap/{name}" for k, name in enumerate(self.labels.names)}
        found = self._boxes.intervals(self._names)
        return {f"box_{names.get(key, key)}": ends for key, ends in found.items()} | of_matches
