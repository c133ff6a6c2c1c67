"""Scoring of objects: COCO's average precision, and the F1 of each image.

Shape legend: K classes, N found objects, T true objects.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelTable
from limner.core.prediction import SCORE_THRESHOLD, SegmentPrediction
from limner.core.sample import Sample
from limner.core.score_names import SCORES
from limner.core.segments import Segments
from limner.evaluation.object_scores import IMAGE_COLUMNS, ObjectImageScores, object_notes
from limner.evaluation.scores_file import by_class_name, class_rows
from limner.evaluation.uncertainty import Uncertainty
from limner.metrics.average_precision import AveragePrecision, PrecisionScores
from limner.metrics.confusion import Counts
from limner.metrics.segment_matches import MatchScores, empty_counts, match_scores
from limner.metrics.spread import Interval, Spread


@dataclass(frozen=True)
class InstanceScores:
    """The scores of a whole dataset.

    Attributes:
        labels: The classes.
        num_images: Number of scored images.
        masks: Average precision of the masks.
        boxes: Average precision of their bounding boxes.
        num_true: (K) number of true objects, without crowds.
        num_found: (K) number of predicted objects with any score.
        matches: Match scores of the objects with a score of 0.5 or more.
        lowest_score: Lowest score of a found object; infinite if none was found.
        highest_score: Highest score of a found object.
        intervals: Score name -> its 95 % bootstrap interval over images.
        per_image: Score name -> its distribution over the images.
    """

    labels: LabelTable
    num_images: int
    masks: PrecisionScores
    boxes: PrecisionScores
    num_true: npt.NDArray[np.int64]
    num_found: npt.NDArray[np.int64]
    matches: MatchScores
    lowest_score: float = math.inf
    highest_score: float = -math.inf
    intervals: dict[str, Interval] = field(default_factory=dict)
    per_image: dict[str, Spread] = field(default_factory=dict)

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield score name -> value, as validation logs them."""
        yield from self._overall().items()
        yield from by_class_name(self.labels.names, {"ap": self.masks.by_class}).items()

    def _overall(self) -> dict[str, float]:
        return self.masks.overall() | self.boxes.overall("box_") | self.matches.overall()

    def to_dict(self) -> dict[str, Any]:
        """Return the content of scores.json, without the split."""
        columns = {
            "ap": self.masks.by_class,
            "ap50": self.masks.by_class_50,
            "box_ap": self.boxes.by_class,
            "f1": self.matches.f1_by_class,
            "objects": self.num_true,
            "found_objects": self.num_found,
        }
        return {
            "task": "instance",
            "num_images": self.num_images,
            "classes": class_rows(self.labels.names, columns),
            **self._overall(),
            **self.matches.rows(),
            "notes": list(self._notes()),
            "intervals": self.intervals,
            "per_image": {name: asdict(spread) for name, spread in self.per_image.items()},
        }

    def _notes(self) -> Iterator[str]:
        """Return what makes scores undefined or misleading on these images."""
        return object_notes(
            self.labels,
            self.matches,
            self.masks,
            num_true=self.num_true,
            num_found=self.num_found,
            lowest_score=self.lowest_score,
            highest_score=self.highest_score,
        )


class InstanceScorer:
    """Accumulates scores of predicted objects against true ones.

    Args:
        labels: The countable classes.
        uncertainty: Whether to compute distributions over the images and confidence intervals; stores the
            names of the images.
    """

    rank_title = SCORES["f1"].column
    columns = IMAGE_COLUMNS

    def __init__(self, labels: LabelTable, *, uncertainty: bool = False) -> None:
        self.labels = labels
        self.num_images = 0
        self._matches = empty_counts(labels.num_classes)
        self._names: list[str] = []
        self._uncertainty = Uncertainty(self._named, shape=self._matches.shape) if uncertainty else None
        self._masks = AveragePrecision(labels.num_classes, kind="masks")
        self._boxes = AveragePrecision(labels.num_classes, kind="boxes")
        self._counts = np.zeros((2, labels.num_classes), np.int64)
        self._lowest, self._highest = math.inf, -math.inf

    def score(self, prediction: SegmentPrediction, sample: Sample) -> ObjectImageScores:
        """Add one image, and return its scores."""
        truth = sample.get(Segments)
        assert truth is not None, "objects are scored against objects"
        masks, labels, scores = prediction.masks, prediction.labels, prediction.scores
        matches = self._masks.update(
            truth, masks=masks, labels=labels, scores=scores, least_score=SCORE_THRESHOLD
        )
        self._boxes.update(truth, masks=masks, labels=labels, scores=scores)
        self.num_images += 1
        single = truth.labels[~truth.is_crowd & (truth.areas > 0)]
        self._counts[0] += np.bincount(single, minlength=self.labels.num_classes)
        self._counts[1] += np.bincount(prediction.labels, minlength=self.labels.num_classes)
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

    def merge(self, other: "InstanceScorer") -> None:
        """Add the counts of another scorer of the same classes."""
        assert self.labels.names == other.labels.names
        self._masks.merge(other._masks)
        self._boxes.merge(other._boxes)
        self._counts += other._counts
        self._matches += other._matches
        self._names += other._names
        self._lowest, self._highest = min(self._lowest, other._lowest), max(self._highest, other._highest)
        self.num_images += other.num_images
        if self._uncertainty is not None and other._uncertainty is not None:
            self._uncertainty.merge(other._uncertainty)

    def compute(self) -> InstanceScores:
        """Return the scores of all images so far."""
        num_true, num_found = self._counts.copy()
        return InstanceScores(
            self.labels,
            self.num_images,
            self._masks.compute(),
            self._boxes.compute(),
            num_true,
            num_found,
            match_scores(self._matches),
            self._lowest,
            self._highest,
            self._intervals(),
            {} if self._uncertainty is None else self._uncertainty.spreads(),
        )

    def _intervals(self) -> dict[str, Interval]:
        if self._uncertainty is None:
            return {}
        of_matches = self._uncertainty.intervals()
        if not of_matches:
            return {}  # too few images, for AP too
        names = {f"ap/{k}": f"ap/{name}" for k, name in enumerate(self.labels.names)}
        masks = {names.get(key, key): ends for key, ends in self._masks.intervals(self._names).items()}
        boxes = self._boxes.intervals(self._names)
        return masks | {f"box_{name}": boxes[name] for name in ("ap", "ap50", "ap75")} | of_matches
