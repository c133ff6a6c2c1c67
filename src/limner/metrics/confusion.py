"""The confusion matrix, as running sums, from which all pixel scores are computed.

Shape legend: K classes, *S spatial axes; leading axes (...) of counts, such as of replicates, are kept.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.labels import IGNORE_INDEX, LabelArray, ignored_among

Counts = npt.NDArray[np.int64]
PerClass = npt.NDArray[np.float64]
Overall = npt.NDArray[np.float64]
"""(...) values over all classes: numbers of NumPy without leading axes."""

# Histogram bins of cv2 are float32, which are exact up to this count.
_CHUNK = 2**24


def count_pairs(truth: LabelArray, predicted: LabelArray, num_classes: int) -> Counts:
    """Count each pair of true and predicted label over the pixels of one image.

    Up to 255 classes by a two-dimensional byte histogram: about twice as fast as
    ``bincount(truth * K + predicted)``, without a mask or copy for ignored pixels, and it reveals invalid
    labels at no cost.

    Args:
        truth: (*S) 0..K-1, or what is `ignored_among` K classes for pixels that are not counted.
        predicted: (*S) 0..K-1.
        num_classes: K.

    Returns:
        (K, K) int64, rows truth and columns prediction.
    """
    assert truth.shape == predicted.shape, f"truth {truth.shape}, prediction {predicted.shape}"
    if num_classes > IGNORE_INDEX:
        return _count_wide_pairs(truth, predicted, num_classes)
    rows = np.ascontiguousarray(truth, np.uint8).reshape(1, -1)
    columns = np.ascontiguousarray(predicted, np.uint8).reshape(1, -1)
    pairs = np.zeros((256, 256), np.int64)
    for start in range(0, rows.size, _CHUNK):
        chunk = [rows[:, start : start + _CHUNK], columns[:, start : start + _CHUNK]]
        pairs += cv2.calcHist(chunk, [0, 1], None, [256, 256], [0, 256, 0, 256]).astype(np.int64)
    assert not pairs[num_classes:IGNORE_INDEX].any(), f"a true label is not in 0..{num_classes - 1}"
    assert not pairs[:IGNORE_INDEX, num_classes:].any(), f"a predicted label is not in 0..{num_classes - 1}"
    return pairs[:num_classes, :num_classes]


def _count_wide_pairs(truth: LabelArray, predicted: LabelArray, num_classes: int) -> Counts:
    """Count the pairs of more classes than a byte holds."""
    known = truth != ignored_among(num_classes)
    rows, columns = truth[known].astype(np.int64), predicted[known].astype(np.int64)
    assert (rows < num_classes).all(), f"a true label is not in 0..{num_classes - 1}"
    assert (columns < num_classes).all(), f"a predicted label is not in 0..{num_classes - 1}"
    pairs = np.bincount(rows * num_classes + columns, minlength=num_classes**2)
    return np.asarray(pairs.reshape(num_classes, num_classes), np.int64)


@dataclass(frozen=True)
class PixelScores:
    """Scores of a confusion matrix; NaN for a class in neither truth nor prediction.

    A single class has no score: it is the truth and the prediction of every pixel, whatever the model.

    Attributes:
        iou: (..., K) intersection over union: TP / (TP + FP + FN).
        dice: (..., K) 2 TP / (2 TP + FP + FN), also called F1; always at least the IoU.
        precision: (..., K) TP / (TP + FP): fraction of the predicted pixels that are correct; NaN if none.
        recall: (..., K) TP / (TP + FN): fraction of the true pixels that were found; NaN if there are none.
        pixels: (..., K) pixels of the class in the truth.
        predicted_pixels: (..., K) pixels predicted as the class.
        true_positives: (..., K) pixels of the class predicted as such.
        pixel_accuracy: (...) fraction of correct pixels; misleading if one class dominates the images.
        frequency_weighted_iou: (...) IoU averaged with each class's fraction of the true pixels as weight.
    """

    iou: PerClass
    dice: PerClass
    precision: PerClass
    recall: PerClass
    pixels: Counts
    predicted_pixels: Counts
    true_positives: Counts
    pixel_accuracy: Overall
    frequency_weighted_iou: Overall

    @property
    def false_positives(self) -> Counts:
        """(..., K) pixels predicted as the class that are not."""
        return self.predicted_pixels - self.true_positives

    @property
    def false_negatives(self) -> Counts:
        """(..., K) pixels of the class that were missed."""
        return self.pixels - self.true_positives

    @property
    def num_absent(self) -> int:
        """Number of classes in neither truth nor prediction, which are excluded from means."""
        return int((self.pixels + self.predicted_pixels == 0).sum())

    @property
    def mean_iou(self) -> Overall:
        """Mean IoU of the classes that are in the truth or the prediction; NaN if there are none."""
        return mean_of_present(self.iou)

    @property
    def mean_dice(self) -> Overall:
        """Mean Dice of the classes that are in the truth or the prediction; NaN if there are none."""
        return mean_of_present(self.dice)

    def overall(self, background: int | None) -> dict[str, Overall]:
        """Return the scores over all classes by name.

        Args:
            background: The class that the foreground Dice leaves out; without one, there is no such score.
        """
        foreground = self.foreground_dice(background)
        return {
            "mean_iou": self.mean_iou,
            "mean_dice": self.mean_dice,
            "mean_recall": mean_of_present(self.recall),
            **({} if foreground is None else {"foreground_dice": foreground}),
            "pixel_accuracy": self.pixel_accuracy,
            "frequency_weighted_iou": self.frequency_weighted_iou,
        }

    def by_class(self) -> dict[str, PerClass]:
        """Return the (..., K) scores of the classes by name."""
        return {"iou": self.iou, "dice": self.dice, "precision": self.precision, "recall": self.recall}

    def foreground_dice(self, background: int | None) -> Overall | None:
        """Return the Dice of all classes but the background: TP, FP and FN are summed before the division.

        Args:
            background: The background, or None if no class is: then the Dice would only be the pixel accuracy
                again, so there is none.
        """
        if background is None:
            return None
        kept = np.arange(self.iou.shape[-1]) != background
        both = (self.pixels + self.predicted_pixels)[..., kept].sum(-1)
        return ratio(2 * self.true_positives[..., kept].sum(-1), both)


class ConfusionMatrix:
    """Counts of (true, predicted) pairs over any number of images; its size depends only on K.

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int) -> None:
        self.counts: Counts = np.zeros((num_classes, num_classes), np.int64)

    def update(self, truth: LabelArray, predicted: LabelArray) -> Counts:
        """Add the pixels of one image; return that image's own (K, K) counts."""
        counts = count_pairs(truth, predicted, len(self.counts))
        self.counts += counts
        return counts

    def merge(self, other: "ConfusionMatrix") -> None:
        """Add the counts of another matrix with the same classes."""
        assert self.counts.shape == other.counts.shape
        self.counts += other.counts

    def reset(self) -> None:
        """Reset all counts."""
        self.counts[:] = 0

    def compute(self) -> PixelScores:
        """Return the scores of all images so far."""
        return pixel_scores(self.counts)


def pixel_scores(counts: Counts) -> PixelScores:
    """Compute the scores of a confusion matrix.

    Args:
        counts: (K, K) int64, rows truth and columns prediction.
    """
    return scores_of_sums(np.diag(counts).copy(), counts.sum(1), counts.sum(0))


def scores_of_sums(right: Counts, pixels: Counts, predicted: Counts) -> PixelScores:
    """Compute the scores from the diagonal and the sums of a confusion matrix.

    Args:
        right: (..., K) the diagonal.
        pixels: (..., K) sums of the rows.
        predicted: (..., K) sums of the columns.
    """
    # A single class is right everywhere by definition, which is no score: none of its pixels counts.
    counted = int(pixels.shape[-1] > 1) * np.stack([right, pixels, predicted])
    hits, true, marked = counted
    total = true.sum(-1)
    iou = ratio(hits, true + marked - hits)
    return PixelScores(
        iou=iou,
        dice=ratio(2 * hits, true + marked),
        precision=ratio(hits, marked),
        recall=ratio(hits, true),
        pixels=pixels,
        predicted_pixels=predicted,
        true_positives=right,
        pixel_accuracy=ratio(hits.sum(-1), total),
        frequency_weighted_iou=ratio(np.nansum(iou * true, axis=-1), total),
    )


def ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Divide two arrays of one shape, or two numbers; NaN where the denominator is not positive."""
    found: npt.NDArray[np.float64] = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=found, where=np.asarray(whole) > 0)
    return found[()]


def mean_of_present(scores: PerClass) -> Overall:
    """Return (...) the mean over the last axis of all values that are not NaN; NaN if there are none.

    Args:
        scores: (..., K). Each row has the mean that it has alone, to the last bit: sums of floats depend on
            the number of summands.
    """
    is_present = ~np.isnan(scores)
    counts = np.asarray(is_present.sum(-1))
    means: Overall = np.full(counts.shape, np.nan)
    for count in set(counts.ravel().tolist()) - {0}:
        rows = counts == count
        means[rows] = scores[rows][is_present[rows]].reshape(-1, count).mean(-1)
    return means[()]
