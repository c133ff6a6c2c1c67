"""COCO's average precision and recall of masks and of boxes, one image at a time.

The result is that of pycocotools, to the last bit. Objects are matched as each image arrives
(`object_matching`), and only the scores and matches of the detections are stored, not their masks: about a
hundred bytes per detection. The curves are computed at the end.

Shape legend: K classes, A ranges of sizes, T IoU thresholds, R recalls, D detections of all images, I images.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limner.core.segments import Segments
from limner.metrics.confusion import Counts
from limner.metrics.froc import Froc, compute_froc
from limner.metrics.object_matching import SIZES, THRESHOLDS, MatchedObjects, match_objects
from limner.metrics.object_overlaps import ComparedObjects, Kind, Labels, compare_masks
from limner.metrics.precision_bootstrap import RECALLS, WeightedObjects, draw_weights, weighted_precision
from limner.metrics.segment_matches import object_match_counts
from limner.metrics.spread import Interval, interval

MOST_DETECTIONS = 100
"""Maximum number of detections per image and class for the AP, as in COCO; the highest scores count."""

LIMITS = (1, 10, MOST_DETECTIONS)
"""Maximum numbers of detections per image and class for the average recall, as in COCO."""

Bits = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PrecisionScores:
    """Average precision over recall and average recall, 0 to 1; NaN if there is no true object.

    Attributes:
        ap: Mean over the classes and over the IoU thresholds 0.50, 0.55, ..., 0.95.
        ap50: AP at an IoU of 0.5.
        ap75: AP at an IoU of 0.75.
        ap_small: AP of objects with an area below 32 x 32 pixels.
        ap_medium: AP of objects from 32 x 32 to 96 x 96 pixels.
        ap_large: AP of larger objects.
        by_class: (K) AP of each class.
        by_class_50: (K) AP50 of each class.
        ar: Recall with 1, 10 and 100 detections of a class in each image: mean over classes and thresholds.
        ar_by_size: The recall of small, medium and large objects, with 100 detections.
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
    ar: tuple[float, float, float]
    ar_by_size: tuple[float, float, float]
    num_crowded: int = 0
    most_objects: int = 0
    ap_of_all: float = float("nan")

    def overall(self, prefix: str = "") -> dict[str, float]:
        """Return the AP over all classes by name; `prefix` tells those of boxes from those of masks."""
        names = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
        return {f"{prefix}{name}": float(getattr(self, name)) for name in names}

    def recalls(self, prefix: str = "") -> dict[str, float]:
        """Return the average recalls over all classes by name."""
        numbers = {f"{prefix}ar_{most}": value for most, value in zip(LIMITS, self.ar, strict=True)}
        sizes = zip(("small", "medium", "large"), self.ar_by_size, strict=True)
        return numbers | {f"{prefix}ar_{size}": value for size, value in sizes}


class AveragePrecision:
    """Accumulates detections and true objects over images.

    Args:
        num_classes: K.
        kind: Whether masks or their bounding boxes are compared, and which of the two tells an object's size.
    """

    def __init__(self, num_classes: int, *, kind: Kind = "masks") -> None:
        self.num_classes = num_classes
        self.kind = kind
        self._parts: list[MatchedObjects] = []

    @property
    def num_images(self) -> int:
        """Number of images so far."""
        return sum(part.num_images for part in self._parts)

    def update(
        self,
        truth: Segments,
        *,
        masks: npt.NDArray[np.bool_],
        labels: Labels,
        scores: npt.NDArray[np.float32],
        least_score: float = 0.5,
    ) -> Counts:
        """Add one image with masks, and return the match counts of its confident objects, as `add` does.

        Args:
            truth: Its objects with trained labels, including crowds.
            masks: (N, H, W) of the detections.
            labels: (N,) 0..K-1.
            scores: (N,) any order.
            least_score: Objects with lower scores count for the AP, but not in the returned counts.
        """
        compared = compare_masks(truth, masks, labels, scores, kind=self.kind)
        return self.add(compared, least_score=least_score)

    def add(self, objects: ComparedObjects, *, least_score: float = 0.5) -> Counts:
        """Add one image, and return the match counts of its confident objects (see `segment_matches`).

        Args:
            objects: Its true and found objects.
            least_score: Objects with lower scores count for the AP, but not in the returned counts.
        """
        return object_match_counts(
            self.add_images(objects), num_classes=self.num_classes, least_score=least_score
        )

    def add_images(self, objects: ComparedObjects) -> MatchedObjects:
        """Add images, many of which take less time at once, and return their matches."""
        matches = match_objects(objects)
        self._parts.append(matches)
        return matches

    def merge(self, other: "AveragePrecision") -> None:
        """Add the counts of another instance with the same classes."""
        assert (self.num_classes, self.kind) == (other.num_classes, other.kind)
        self._parts += other._parts

    def reset(self) -> None:
        """Reset all counts."""
        self._parts = []

    def intervals(self, names: Sequence[str], *, seed: int = 0) -> dict[str, Interval]:
        """Return ``ap``, ``ap50``, ``ap75`` and ``ap/k`` of class k -> 95 % bootstrap interval over images.

        Args:
            names: Names of the images in the order they were added; all different.
            seed: Random seed.
        """
        found = weighted_precision(self.weighted_objects(), draw_weights(names, seed=seed))
        values = {"ap": found, "ap50": found[..., :1], "ap75": found[..., 5:6]}
        values |= {f"ap/{k}": found[:, k : k + 1] for k in range(self.num_classes)}
        return {name: interval(_means(part)) for name, part in values.items()}

    def weighted_objects(self) -> list[WeightedObjects]:
        """Return the objects of each class, at least one image, to be weighted by image."""
        every = _Detections.of(self._parts)
        return [every.of_class(k).weighted() for k in range(self.num_classes)]

    def froc(self) -> Froc:
        """Return how many objects are found for how many false ones in an image, at an IoU of 0.5."""
        if not self._parts:
            return compute_froc(np.zeros(0, bool), np.zeros(0, bool), num_true=0, num_images=0)
        every = _Detections.of(self._parts)
        order = np.argsort(-every.scores, kind="stable")
        is_right, is_excused = every.is_right[0, 0, order], every.is_excused[0, 0, order]
        num_true = int(every.counts[0].sum())
        return compute_froc(is_right, ~is_right & ~is_excused, num_true=num_true, num_images=self.num_images)

    def compute(self) -> PrecisionScores:
        """Return the scores of all images so far."""
        precision, recall = self._curves()
        whole = precision[..., 0]
        most = self._most_objects()
        is_crowded = most.max(initial=0) > MOST_DETECTIONS
        return PrecisionScores(
            ap=_mean(whole),
            ap50=_mean(whole[0]),
            ap75=_mean(whole[5]),
            ap_small=_mean(precision[..., 1]),
            ap_medium=_mean(precision[..., 2]),
            ap_large=_mean(precision[..., 3]),
            by_class=np.array([_mean(whole[:, :, k]) for k in range(self.num_classes)]),
            by_class_50=np.array([_mean(whole[0, :, k]) for k in range(self.num_classes)]),
            ar=(_mean(recall[:, :, 0, 0]), _mean(recall[:, :, 0, 1]), _mean(recall[:, :, 0, 2])),
            ar_by_size=(_mean(recall[:, :, 1, 2]), _mean(recall[:, :, 2, 2]), _mean(recall[:, :, 3, 2])),
            num_crowded=int((most > MOST_DETECTIONS).sum()),
            most_objects=int(most.max(initial=0)),
            ap_of_all=_mean(self._curves(math.inf)[0][..., 0]) if is_crowded else _mean(whole),
        )

    def _most_objects(self) -> npt.NDArray[np.int64]:
        """Return the largest number of true objects of one class, for each image with any."""
        return np.concatenate(
            [np.zeros(0, np.int64), *(_most_of_a_class(part, self.num_classes) for part in self._parts)]
        )

    def _curves(
        self, limit: float = MOST_DETECTIONS
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the precision (T, R, K, A), and the recall (T, K, A, limits); NaN without a true object.

        Args:
            limit: Number of detections of a class in an image that count.
        """
        num_thresholds, num_sizes = len(THRESHOLDS), len(SIZES)
        precision = np.full((num_thresholds, len(RECALLS), self.num_classes, num_sizes), np.nan)
        recall = np.full((num_thresholds, self.num_classes, num_sizes, len(LIMITS)), np.nan)
        if not self._parts:
            return precision, recall
        every = _Detections.of(self._parts, limit)
        for k in range(self.num_classes):
            found = every.of_class(k)
            for a, count in enumerate(found.counts.sum(1).tolist()):
                if not count:
                    continue
                precision[:, :, k, a] = _precision(found.is_right[a], found.is_excused[a], count)
                for place, most in enumerate(LIMITS):
                    right = found.is_right[a][:, found.ranks < most].sum(1)
                    recall[:, k, a, place] = right / count
        return precision, recall


@dataclass(frozen=True)
class _Detections:
    """The detections of all images that count for the AP, by class, then by decreasing score.

    Attributes:
        labels: (D,).
        scores: (D,).
        ranks: (D,) place among those of its image and class.
        images: (D,) number of the image.
        is_right: (A, T, D).
        is_excused: (A, T, D).
        true_labels: Class of each true object of all images.
        true_images: The number of its image.
        counts: (A, true objects) whether it counts.
    """

    labels: Labels
    scores: npt.NDArray[np.float64]
    ranks: Labels
    images: Labels
    is_right: Bits
    is_excused: Bits
    true_labels: Labels
    true_images: Labels
    counts: Bits

    @classmethod
    def of(cls, parts: Sequence[MatchedObjects], limit: float = MOST_DETECTIONS) -> "_Detections":
        """Join the detections of images, at least one, up to a number for each class and image."""
        labels, scores, ranks = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("labels", "scores", "ranks")
        )
        starts = np.cumsum([0, *(part.num_images for part in parts)])[:-1]
        images, true_images = (
            np.concatenate([getattr(part, name) + start for part, start in zip(parts, starts, strict=True)])
            for name in ("images", "true_images")
        )
        order = np.lexsort((-scores, labels))  # stable: of equal scores the earlier image comes first
        order = order[ranks[order] < limit]
        return cls(
            labels[order], scores[order], ranks[order], images[order],
            np.concatenate([part.is_right for part in parts], 2)[:, :, order],
            np.concatenate([part.is_excused for part in parts], 2)[:, :, order],
            np.concatenate([part.true_labels for part in parts]), true_images,
            np.concatenate([part.counts for part in parts], 1),
        )  # fmt: skip

    def of_class(self, label: int) -> "_Detections":
        """Return the objects of one class."""
        place = slice(*np.searchsorted(self.labels, [label, label + 1]).tolist())
        true = self.true_labels == label
        return _Detections(
            self.labels[place], self.scores[place], self.ranks[place], self.images[place],
            self.is_right[:, :, place], self.is_excused[:, :, place],
            self.true_labels[true], self.true_images[true], self.counts[:, true],
        )  # fmt: skip

    def weighted(self) -> WeightedObjects:
        """Return the objects of all sizes, to be weighted."""
        true_images = self.true_images[self.counts[0]]
        return WeightedObjects(self.is_right[0], self.is_excused[0], self.images, true_images)


def _most_of_a_class(part: MatchedObjects, num_classes: int) -> npt.NDArray[np.int64]:
    """Return the largest number of true objects of one class, for each image of a part with any."""
    counted = part.counts[0]
    pairs = part.true_images[counted] * num_classes + part.true_labels[counted]
    known, counts = np.unique(pairs, return_counts=True)
    images, place = np.unique(known // num_classes, return_inverse=True)
    most = np.zeros(len(images), np.int64)
    np.maximum.at(most, place, counts)
    return most


def _precision(is_right: Bits, is_excused: Bits, num_true: int) -> npt.NDArray[np.float64]:
    """Return (T, R) the highest precision at each recall or a higher one; 0 where it is not reached.

    Args:
        is_right: (T, D) by decreasing score.
        is_excused: (T, D).
        num_true: Number of true objects.
    """
    right = np.cumsum(is_right, axis=1).astype(np.float64)
    wrong = np.cumsum(~is_right & ~is_excused, axis=1).astype(np.float64)
    recall = right / num_true
    precision = right / (wrong + right + np.spacing(1))
    falling = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    reached = np.zeros((len(right), len(RECALLS)))
    for t in range(len(right)):
        places = np.searchsorted(recall[t], RECALLS, side="left")
        there = places < recall.shape[1]
        reached[t, there] = falling[t, places[there]]
    return reached


def _mean(values: npt.NDArray[np.float64]) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if there.size else float("nan")


def _means(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return (G) the mean of each of (G, ...), without NaN; NaN where there is nothing else."""
    each = values.reshape(len(values), -1)
    is_there = ~np.isnan(each)
    counts, means = is_there.sum(1), np.full(len(each), np.nan)
    np.divide(np.where(is_there, each, 0).sum(1), counts, out=means, where=counts > 0)
    return means
