"""Pseudo-labels: a model's own confident predictions of unlabelled images.

Of the pixels that are predicted as each class, over all images, the most confident part is taken
(class-balanced self-training, Zou et al., ECCV 2018), so that classes that are always predicted with less
confidence are learned too. The others are ignored.

Shape legend: K classes, H, W image size.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.checks.measuring import digest
from limner.core.labels import LabelTable
from limner.core.progress import Track
from limner.core.wording import share as percentage
from limner.images.masks import read_values, write_values
from limner.images.read_image import read_image
from limner.inference.image_paths import ImagePath
from limner.inference.predictor import Predictor
from limner.inference.reading_ahead import read_ahead
from limner.tasks.teacher import classes_of

BINS = 1000
"""Steps of confidence from 0 to 1."""

LEAST_CONFIDENCE = 0.5
"""Minimum confidence of taken pixels, whatever the share: below it, another class may be as likely."""

MOST_NAMED = 8
"""Classes named in a sentence."""

LABELS, CONFIDENCES = "labels", "confidences"


@dataclass(frozen=True)
class ClassPart:
    """The pixels taken of one class.

    Attributes:
        name: The class.
        threshold: Least confidence of taken pixels.
        predicted: Number of pixels predicted as this class.
        taken: Number of those taken.
    """

    name: str
    threshold: float
    predicted: int
    taken: int


@dataclass(frozen=True)
class PseudoSummary:
    """The pixels taken of all images.

    Attributes:
        images: Their output names.
        pixels: Number of their pixels.
        classes: Each class.
    """

    images: tuple[str, ...]
    pixels: int
    classes: tuple[ClassPart, ...]

    @property
    def taken(self) -> int:
        """Number of taken pixels."""
        return sum(one.taken for one in self.classes)

    @property
    def words(self) -> str:
        """The numbers in a sentence."""
        found = [one for one in self.classes if one.predicted]
        each = [
            f"{one.name} {percentage(one.taken / one.predicted)} (from {one.threshold:.3f})"
            for one in sorted(found, key=lambda one: -one.predicted)[:MOST_NAMED]
        ]
        more = f", and {len(found) - MOST_NAMED} more classes" if len(found) > MOST_NAMED else ""
        return (
            f"{self.taken:,} of {self.pixels:,} pixels ({percentage(self.taken / max(1, self.pixels))}) of "
            f"{len(self.images)} images are trained on as the initial weights predict them; of the pixels "
            f"predicted as each class, the most confident: {', '.join(each)}{more}"
        )


def write_pseudo_labels(
    predictor: Predictor,
    images: Sequence[ImagePath],
    folder: Path,
    labels: LabelTable,
    *,
    share: float,
    known: AbstractSet[str] = frozenset(),
    track: Track,
) -> PseudoSummary:
    """Write ``labels/NAME.png`` with trained labels, and the ignored value where the model is not sure.

    ``confidences/NAME.png`` has the probability of the predicted class in thousandths.

    Args:
        predictor: Predicts label maps with probabilities; knows all classes.
        images: The images.
        folder: The folder to write to.
        labels: The classes to train.
        share: Of the pixels predicted as each class, the fraction to take.
        known: Digests of images to leave out, as of `limner.checks.measuring.digest`.
        track: Shows progress.

    Raises:
        ConfigError: The model lacks a class.
        DataError: An image cannot be read, or does not suit the model.
        WriteError: A file cannot be written.
    """
    order = classes_of(predictor.labels, labels)
    counts = np.zeros((labels.num_classes, BINS + 1), np.int64)
    named: list[str] = []
    pixels = 0
    for image, picture in track(
        read_ahead(images, lambda one: read_image(one.path)), "Predicting unlabelled images", len(images)
    ):
        found = picture()
        if digest(found.array) in known:
            continue
        named.append(image.output)
        prediction = predictor.predict(found, name=str(image.path), probabilities=True)
        assert prediction.probabilities is not None
        label, confidence = _most_probable(prediction.probabilities, order)
        sure = prediction.semantic == np.asarray(order)[label]  # not a class that is not trained
        counts += _histogram(label[sure], confidence[sure], labels.num_classes)
        pixels += label.size
        label = np.where(sure, label, labels.ignore_index).astype(labels.label_dtype)
        write_values(folder / LABELS / f"{image.output}.png", label)
        write_values(folder / CONFIDENCES / f"{image.output}.png", confidence)
    thresholds = [_threshold(row, share) for row in counts]
    for name in named:
        _leave_out_unsure(folder, name, labels, np.array(thresholds))
    parts = [
        ClassPart(name, least / BINS, int(row.sum()), int(row[least:].sum()))
        for name, row, least in zip(labels.names, counts, thresholds, strict=True)
    ]
    return PseudoSummary(tuple(named), pixels, tuple(parts))


def _most_probable(
    probabilities: npt.NDArray[Any], order: Sequence[int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint16]]:
    """Return the trained label (H, W) with the highest probability, and that in thousandths."""
    own = probabilities[list(order)]
    label = own.argmax(0)
    best = np.take_along_axis(own, label[None], 0)[0].astype(np.float64)
    return label, np.floor(best * BINS + 1e-6).clip(0, BINS).astype(np.uint16)


def _histogram(
    label: npt.NDArray[np.int64], confidence: npt.NDArray[np.uint16], num_classes: int
) -> npt.NDArray[np.int64]:
    """Return the number of pixels (K, BINS + 1) of each class and confidence."""
    keys = label.astype(np.int64) * (BINS + 1) + confidence
    counts: npt.NDArray[np.int64] = np.bincount(keys, minlength=num_classes * (BINS + 1))
    return counts.reshape(num_classes, BINS + 1)


def _threshold(counts: npt.NDArray[np.int64], share: float) -> int:
    """Return the highest confidence in thousandths that at least the share of the pixels has."""
    above = counts[::-1].cumsum()[::-1]
    enough = np.flatnonzero(above >= share * counts.sum())
    return max(int(enough[-1]), round(LEAST_CONFIDENCE * BINS))


def _leave_out_unsure(
    folder: Path, output: str, labels: LabelTable, thresholds: npt.NDArray[np.int64]
) -> None:
    """Ignore the pixels below the threshold of their class."""
    path = folder / LABELS / f"{output}.png"
    label, confidence = read_values(path), read_values(folder / CONFIDENCES / f"{output}.png")
    least = np.full(labels.ignore_index + 1, BINS + 1)
    least[: labels.num_classes] = thresholds
    write_values(path, np.where(confidence >= least[label], label, labels.ignore_index))


def to_json(summary: PseudoSummary) -> dict[str, Any]:
    """Return a summary as JSON-ready values."""
    return {
        "images": list(summary.images),
        "num_images": len(summary.images),
        "pixels": summary.pixels,
        "classes": [vars(one) for one in summary.classes],
    }


def from_json(values: Mapping[str, Any]) -> PseudoSummary:
    """Return the summary that `to_json` was of."""
    classes: Iterator[ClassPart] = (ClassPart(**one) for one in values["classes"])
    return PseudoSummary(tuple(map(str, values["images"])), int(values["pixels"]), tuple(classes))
