"""Predictions and truth into scores, one image at a time; memory does not grow with their number.

Shape legend: K classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from limner.core.labels import LabelTable
from limner.core.prediction import Prediction
from limner.core.sample import LabelMap, Sample
from limner.metrics.confusion import ConfusionMatrix, Counts, PixelScores, pixel_scores


@dataclass(frozen=True)
class ImageScores:
    """The scores of one image.

    Attributes:
        name: The record's name.
        pixel: Scores of this image alone; a class that is in neither its truth nor its prediction is NaN.
        foreground_dice: Dice pooled over all classes but the background; NaN where there is none of them.
    """

    name: str
    pixel: PixelScores
    foreground_dice: float

    @property
    def rank(self) -> float:
        """The score that images are ordered by."""
        return self.foreground_dice

    @property
    def numbers(self) -> tuple[float, ...]:
        """One number a column."""
        pixel = self.pixel
        return self.foreground_dice, pixel.mean_iou, *map(float, pixel.iou), *map(float, pixel.dice)


@dataclass(frozen=True)
class SemanticScores:
    """The scores of a whole dataset, computed from one pooled confusion matrix.

    Attributes:
        labels: The classes, in the order of every (K) array.
        num_images: How many images were counted.
        confusion: (K, K) int64, rows truth and columns prediction.
        pixel: The scores of the pooled matrix.
        foreground_dice: Dice pooled over the dataset and over all classes but `background`.
    """

    labels: LabelTable
    num_images: int
    confusion: Counts
    pixel: PixelScores
    foreground_dice: float

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield score name -> value, as validation logs them."""
        yield "mean_iou", self.pixel.mean_iou
        yield "mean_dice", self.pixel.mean_dice
        yield "foreground_dice", self.foreground_dice
        yield "pixel_accuracy", self.pixel.pixel_accuracy
        yield "frequency_weighted_iou", self.pixel.frequency_weighted_iou
        for index, name in enumerate(self.labels.names):
            yield f"iou/{name}", float(self.pixel.iou[index])
        for index, name in enumerate(self.labels.names):
            yield f"dice/{name}", float(self.pixel.dice[index])

    def to_dict(self) -> dict[str, Any]:
        """Return what scores.json holds beside the split."""
        pixel = self.pixel
        classes = [
            {
                "name": name,
                "iou": float(pixel.iou[i]),
                "dice": float(pixel.dice[i]),
                "precision": float(pixel.precision[i]),
                "recall": float(pixel.recall[i]),
                "pixels": int(pixel.pixels[i]),
                "predicted_pixels": int(pixel.predicted_pixels[i]),
                "false_positives": int(pixel.false_positives[i]),
                "false_negatives": int(pixel.false_negatives[i]),
            }
            for i, name in enumerate(self.labels.names)
        ]
        return {
            "task": "semantic",
            "num_images": self.num_images,
            "classes": classes,
            "mean_iou": pixel.mean_iou,
            "mean_dice": pixel.mean_dice,
            "foreground_dice": self.foreground_dice,
            "pixel_accuracy": pixel.pixel_accuracy,
            "frequency_weighted_iou": pixel.frequency_weighted_iou,
            "num_absent_classes": pixel.num_absent,
            "confusion_matrix": self.confusion.tolist(),
        }


class SemanticScorer:
    """Adds up predictions against truth.

    Args:
        labels: The classes.
    """

    rank_title = "foreground Dice"

    def __init__(self, labels: LabelTable) -> None:
        self.labels = labels
        self.num_images = 0
        self._confusion = ConfusionMatrix(labels.num_classes)

    @property
    def columns(self) -> tuple[str, ...]:
        """What each number of an image's scores is."""
        names = self.labels.names
        return ("foreground_dice", "mean_iou", *(f"iou/{n}" for n in names), *(f"dice/{n}" for n in names))

    def score(self, prediction: Prediction, sample: Sample) -> ImageScores:
        """Count one image, and return its own scores."""
        assert sample.semantic is not None, "label maps are scored against label maps"
        return self.update(prediction, sample.semantic)

    def update(self, prediction: Prediction, truth: LabelMap) -> ImageScores:
        """Count one image and return its own scores.

        Args:
            prediction: At the image's original size.
            truth: (*spatial) uint8 trained labels with `IGNORE_INDEX`, of the same size.
        """
        counts = self._confusion.update(truth, prediction.semantic)
        self.num_images += 1
        scores = pixel_scores(counts)
        return ImageScores(prediction.name, scores, scores.pooled_dice(self.labels.background_index))

    def merge(self, other: "SemanticScorer") -> None:
        """Add what another scorer of the same classes has counted, as another device would."""
        assert self.labels.names == other.labels.names
        self._confusion.merge(other._confusion)
        self.num_images += other.num_images

    def compute(self) -> SemanticScores:
        """Return the scores of everything counted so far."""
        pixel = self._confusion.compute()
        return SemanticScores(
            labels=self.labels,
            num_images=self.num_images,
            confusion=np.array(self._confusion.counts),
            pixel=pixel,
            foreground_dice=pixel.pooled_dice(self.labels.background_index),
        )
