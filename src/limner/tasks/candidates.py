"""The objects in a prediction, for labelling tools: what `Task.candidates` of the tasks is made of."""

from collections.abc import Iterator

import cv2
import numpy as np

from limner.core.labels import LabelTable
from limner.core.prediction import BoxPrediction, PanopticPrediction, SegmentPrediction, SemanticPrediction
from limner.core.segments import Mask
from limner.formats.drawn import box_of_mask
from limner.formats.pre_annotations import Candidate


def class_candidates(prediction: SemanticPrediction, labels: LabelTable) -> Iterator[Candidate]:
    """Yield each connected part of each class but the background.

    Pixels that share an edge are connected, so that each part has one outline besides its holes. Its score is
    the mean probability of its class over its pixels.

    Args:
        prediction: (H, W) labels, with probabilities or without.
        labels: The classes.
    """
    for label in np.unique(prediction.semantic).tolist():
        if label in (labels.background_index, labels.ignore_index):
            continue
        mask = (prediction.semantic == label).astype(np.uint8)
        count, numbers, rows, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        for number in range(1, count):
            left, top, width, height = rows[number, :4].tolist()
            inside = np.s_[top : top + height, left : left + width]
            part = numbers[inside] == number
            score = None
            if prediction.probabilities is not None:
                score = float(prediction.probabilities[label][inside][part].mean())
            box = (float(left), float(top), float(left + width), float(top + height))
            yield Candidate(label, score, box, part)


def object_candidates(prediction: SegmentPrediction, least_score: float) -> Iterator[Candidate]:
    """Yield each object with a score of at least `least_score`, highest first."""
    found = zip(prediction.masks, prediction.labels.tolist(), prediction.scores.tolist(), strict=True)
    for mask, label, score in found:
        if score >= least_score and mask.any():
            yield _of_mask(mask, label, score)


def segment_candidates(
    prediction: PanopticPrediction, labels: LabelTable, least_score: float
) -> Iterator[Candidate]:
    """Yield each object, and each region of stuff but the background, with a score of `least_score`."""
    for number, (label, score) in enumerate(
        zip(prediction.labels.tolist(), prediction.scores.tolist(), strict=True), start=1
    ):
        mask = prediction.segment_ids == number
        if score >= least_score and label != labels.background_index and mask.any():
            yield _of_mask(mask, label, score)


def box_candidates(prediction: BoxPrediction, least_score: float) -> Iterator[Candidate]:
    """Yield each box with a score of at least `least_score`, highest first."""
    found = zip(prediction.xyxy.tolist(), prediction.labels.tolist(), prediction.scores.tolist(), strict=True)
    for (left, top, right, bottom), label, score in found:
        if score >= least_score and right > left and bottom > top:
            yield Candidate(label, score, (left, top, right, bottom))


def _of_mask(mask: Mask, label: int, score: float) -> Candidate:
    box = box_of_mask(mask)
    left, top, right, bottom = map(int, box)
    return Candidate(label, score, box, mask[top:bottom, left:right])
