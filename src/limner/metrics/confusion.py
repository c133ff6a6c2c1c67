"""The confusion matrix, as running sums: the one thing that all pixel scores are computed from.

Shape legend: K classes, *S spatial axes.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.labels import IGNORE_INDEX
from limner.core.sample import LabelMap

Counts = npt.NDArray[np.int64]
PerClass = npt.NDArray[np.float64]

# A histogram bin of cv2 is a float32, which counts exactly up to here.
_CHUNK = 2**24


def count_pairs(truth: LabelMap, predicted: LabelMap, num_classes: int) -> Counts:
    """Count each pair of true and predicted label over the pixels of one image.

    A two-dimensional byte histogram: about twice as fast as ``bincount(truth * K + predicted)``, with
    no mask or copy for ignored pixels, and it brings wrong labels to light at no cost.

    Args:
        truth: (*S) uint8, 0..K-1 or `IGNORE_INDEX`, whose pixels are not counted.
        predicted: (*S) uint8, 0..K-1.
        num_classes: K.

    Returns:
        (K, K) int64, rows truth and columns prediction.
    """
    assert truth.shape == predicted.shape, f"truth {truth.shape}, prediction {predicted.shape}"
    rows = np.ascontiguousarray(truth, np.uint8).reshape(1, -1)
    columns = np.ascontiguousarray(predicted, np.uint8).reshape(1, -1)
    pairs = np.zeros((256, 256), np.int64)
    for start in range(0, rows.size, _CHUNK):
        chunk = [rows[:, start : start + _CHUNK], columns[:, start : start + _CHUNK]]
        pairs += cv2.calcHist(chunk, [0, 1], None, [256, 256], [0, 256, 0, 256]).astype(np.int64)
    assert not pairs[num_classes:IGNORE_INDEX].any(), f"a true label is not in 0..{num_classes - 1}"
    assert not pairs[:IGNORE_INDEX, num_classes:].any(), f"a predicted label is not in 0..{num_classes - 1}"
    return pairs[:num_classes, :num_classes]


@dataclass(frozen=True)
class PixelScores:
    """What a confusion matrix says; a class in neither truth nor prediction has NaN, not 0 or 1.

    Attributes:
        iou: (K) intersection over union: TP / (TP + FP + FN).
        dice: (K) 2 TP / (2 TP + FP + FN), also called F1; always at least the IoU.
        precision: (K) TP / (TP + FP): how much of what was predicted is right; NaN where never predicted.
        recall: (K) TP / (TP + FN): how much of the truth was found; NaN where absent from the truth.
        pixels: (K) pixels of the class in the truth.
        predicted_pixels: (K) pixels predicted as the class.
        true_positives: (K) pixels of the class predicted as such.
        pixel_accuracy: Part of the pixels that are right; misleads where one class fills the image.
        frequency_weighted_iou: IoU averaged with each class's part of the true pixels as weight.
    """

    iou: PerClass
    dice: PerClass
    precision: PerClass
    recall: PerClass
    pixels: Counts
    predicted_pixels: Counts
    true_positives: Counts
    pixel_accuracy: float
    frequency_weighted_iou: float

    @property
    def false_positives(self) -> Counts:
        """(K) pixels predicted as the class that are not."""
        return self.predicted_pixels - self.true_positives

    @property
    def false_negatives(self) -> Counts:
        """(K) pixels of the class that were missed."""
        return self.pixels - self.true_positives

    @property
    def num_absent(self) -> int:
        """How many classes are in neither truth nor prediction; no mean counts them."""
        return int(np.isnan(self.iou).sum())

    @property
    def mean_iou(self) -> float:
        """Mean IoU of the classes that are in the truth or the prediction; NaN where there is none."""
        return mean_of_present(self.iou)

    @property
    def mean_dice(self) -> float:
        """Mean Dice of the classes that are in the truth or the prediction; NaN where there is none."""
        return mean_of_present(self.dice)

    def overall(self, background: int | None) -> dict[str, float]:
        """Return the scores over all classes by name.

        Args:
            background: The class that the foreground Dice leaves out.
        """
        return {
            "mean_iou": self.mean_iou,
            "mean_dice": self.mean_dice,
            "mean_recall": mean_of_present(self.recall),
            "foreground_dice": self.pooled_dice(background),
            "pixel_accuracy": self.pixel_accuracy,
            "frequency_weighted_iou": self.frequency_weighted_iou,
        }

    def by_class(self) -> dict[str, PerClass]:
        """Return the (K) scores of the classes by name."""
        return {"iou": self.iou, "dice": self.dice, "precision": self.precision, "recall": self.recall}

    def pooled_dice(self, without: int | None = None) -> float:
        """Return the Dice of all classes pooled: TP, FP and FN are summed before they are divided.

        Args:
            without: A class that is left out, such as the background.
        """
        kept = np.arange(len(self.iou)) != (-1 if without is None else without)
        both = (self.pixels + self.predicted_pixels)[kept].sum()
        return float(2 * self.true_positives[kept].sum() / both) if both else float("nan")


class ConfusionMatrix:
    """Counts of (true, predicted) pairs over any number of images; its size depends on K alone.

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int) -> None:
        self.counts: Counts = np.zeros((num_classes, num_classes), np.int64)

    def update(self, truth: LabelMap, predicted: LabelMap) -> Counts:
        """Add the pixels of one image; return that image's own (K, K) counts."""
        counts = count_pairs(truth, predicted, len(self.counts))
        self.counts += counts
        return counts

    def merge(self, other: "ConfusionMatrix") -> None:
        """Add what another matrix of the same classes has counted."""
        assert self.counts.shape == other.counts.shape
        self.counts += other.counts

    def reset(self) -> None:
        """Forget everything."""
        self.counts[:] = 0

    def compute(self) -> PixelScores:
        """Return the scores of everything counted so far."""
        return pixel_scores(self.counts)


def pixel_scores(counts: Counts) -> PixelScores:
    """Compute the scores of a confusion matrix.

    Args:
        counts: (K, K) int64, rows truth and columns prediction.
    """
    return scores_of_sums(np.diag(counts).copy(), counts.sum(1), counts.sum(0))


def scores_of_sums(right: Counts, pixels: Counts, predicted: Counts) -> PixelScores:
    """Compute the same from what a confusion matrix is summed to.

    Args:
        right: (K) its diagonal.
        pixels: (K) its sums of rows.
        predicted: (K) its sums of columns.
    """
    total = int(pixels.sum())
    iou = ratio(right, pixels + predicted - right)
    return PixelScores(
        iou=iou,
        dice=ratio(2 * right, pixels + predicted),
        precision=ratio(right, predicted),
        recall=ratio(right, pixels),
        pixels=pixels,
        predicted_pixels=predicted,
        true_positives=right,
        pixel_accuracy=float(right.sum() / total) if total else float("nan"),
        frequency_weighted_iou=float(np.nansum(iou * pixels) / total) if total else float("nan"),
    )


def ratio(part: Counts, whole: Counts) -> PerClass:
    """Divide, with NaN where there is nothing to divide by."""
    ratio: PerClass = np.full(len(whole), np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio


def mean_of_present(scores: PerClass) -> float:
    """Return the mean without NaN; NaN where there is nothing else."""
    present = scores[~np.isnan(scores)]
    return float(present.mean()) if len(present) else float("nan")
