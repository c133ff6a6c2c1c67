"""Intervals computed from blocks of replicates are those of a loop over single replicates."""

import numpy as np
import pytest

from limner.core.image_class import ClassShares, ImageClass
from limner.core.labels import LabelClass, LabelTable
from limner.core.prediction import ClassPrediction, TagPrediction
from limner.core.sample import Sample
from limner.evaluation import class_scorer, tag_scorer, uncertainty
from limner.evaluation.class_scorer import ClassScorer
from limner.evaluation.detection_scorer import DetectionScorer
from limner.evaluation.panoptic_scorer import PanopticScorer
from limner.evaluation.semantic_scorer import SemanticScorer
from limner.evaluation.tag_scorer import TagScorer
from limner.evaluation.uncertainty import Uncertainty, intervals_of
from limner.evaluation.word_scorer import word_scores
from limner.metrics.bootstrap import weights_of, weights_of_images
from limner.metrics.panoptic_quality import NUM_SUMS
from limner.metrics.segment_matches import IMAGES, NUM_ROWS

NUM_CLASSES, NUM_PIXEL_ROWS = 20, 3
LABELS = LabelTable(
    tuple(
        LabelClass(f"class {i}" if i else "background", (i,), (i, i, i), is_thing=i % 2 == 1)
        for i in range(NUM_CLASSES)
    )
)
NAMES = [f"image {i}" for i in range(8)]
EVERY_LENGTH = {"boundaries": True, "cases": True}
SCORERS = {
    "label maps": (SemanticScorer(LABELS)._named, 3),
    "label maps, no background": (SemanticScorer(LABELS.things())._named, 3),
    "boundaries and cases": (SemanticScorer(LABELS, **EVERY_LENGTH)._named, 3 + 7 + 8),
    "one class": (SemanticScorer(LabelTable(LABELS.classes[1:2]), **EVERY_LENGTH)._named, 3 + 7 + 8),
    "boxes": (DetectionScorer(LABELS)._named, NUM_ROWS),
    "segments": (PanopticScorer(LABELS)._named, NUM_SUMS + NUM_ROWS),
}


def counted(kind, rng):
    """Counts of an image with some of the classes, from which the scores of this kind are computed."""
    if kind == "words":
        matched, extra, missed = rng.integers(0, 3, 3)
        return np.array([matched + missed, matched + extra, matched, 0.8 * matched, matched], np.float64)
    rows = SCORERS[kind][1]
    num_classes = {"one class": 1, "label maps, no background": NUM_CLASSES // 2}.get(kind, NUM_CLASSES)
    counts = rng.integers(1, 1000, (rows, num_classes)) * (rng.random(num_classes) < 0.2)
    if kind in ("boxes", "segments"):
        counts[IMAGES - NUM_ROWS] = 1
    else:
        counts[1:3] += counts[0]  # the truth and the prediction include what is right in both
    if rows > NUM_PIXEL_ROWS and kind not in ("boxes", "segments"):
        counts[4:6] += counts[3]  # so do the bands of boundaries
        counts[[7, 9]] += counts[[6, 8]]  # and the outlines
        counts[10:13] = rng.integers(0, 2, (3, num_classes)) | (np.array([[1], [0], [0]]) * (counts[0] > 0))
        counts[13:] *= 1000 * counts[10]  # in millionths, of one case or none
    if kind == "segments":
        counts = counts.astype(np.float64)
        counts[0] = 0.9137 * counts[1]  # sum of the IoUs of the matched pairs
    return counts


@pytest.mark.parametrize("kind", [*SCORERS, "words"])
def test_intervals_are_those_of_a_plain_loop_to_the_last_bit(kind, monkeypatch):
    named, rng = word_scores if kind == "words" else SCORERS[kind][0], np.random.default_rng(3)
    images = [counted(kind, rng) for _ in NAMES]
    made = Uncertainty(named, shape=images[0].shape, dtype=images[0].dtype)
    for name, counts in zip(NAMES, images, strict=True):
        made.update(name, counts)
    weights = [weights_of(name) for name in NAMES]
    again = []
    for replicate in range(1000):
        sums = np.zeros_like(images[0])
        for counts, times in zip(images, weights, strict=True):
            sums += times[replicate] * counts
        again.append(named(sums))
    found = made.intervals()
    monkeypatch.setattr(uncertainty, "BLOCK", 1)  # eight replicates at once
    np.testing.assert_equal(made.intervals(), found)
    assert list(found) == list(again[0])
    for name, ends in found.items():
        values = np.array([float(scores[name]) for scores in again])
        known = values[~np.isnan(values)]
        expected = np.percentile(known, (2.5, 97.5)) if len(known) else (np.nan, np.nan)
        np.testing.assert_array_equal(ends, expected, err_msg=name)
    if kind != "one class":
        assert len({ends for ends in found.values() if ends[0] < ends[1]}) > 3


def test_blocks_hold_a_multiple_of_eight_replicates_and_all_of_them(monkeypatch):
    monkeypatch.setattr(uncertainty, "BLOCK", 1000)
    seen = []

    def named(part):
        seen.append(len(part))
        return {"score": part.sum(1).astype(np.float64)}

    replicates = np.arange(100 * 60).reshape(100, 60)
    low, high = intervals_of(named, replicates)["score"]
    # 1000 // 60 are 16 rows, a multiple of 8; the rest of 100 are 4.
    assert seen == [16] * 6 + [4]
    assert (low, high) == tuple(np.percentile(replicates.sum(1), (2.5, 97.5)))


def scored(scorer, images):
    for name, probabilities, target in images:
        kind = ClassPrediction if isinstance(target, ImageClass) else TagPrediction
        scorer.score(kind(name, probabilities), Sample(name, np.zeros((1, 1, 3), np.uint8), (target,)))
    return scorer.compute()


@pytest.mark.parametrize("kind", [ClassScorer, TagScorer])
def test_intervals_of_classes_are_those_of_images_repeated(kind, monkeypatch):
    monkeypatch.setattr(uncertainty, "BLOCK", 1)
    home = class_scorer if kind is ClassScorer else tag_scorer
    monkeypatch.setattr(home, "weights_of_images", lambda names: weights_of_images(names, 120))
    rng, labels = np.random.default_rng(0), LabelTable(LABELS.classes[:7])
    images = []
    for name in NAMES:
        chances = rng.random(7).astype(np.float32)
        truth = ImageClass(int(rng.integers(0, 5))), ClassShares((rng.random(7) < 0.3).astype(np.float32))
        if kind is ClassScorer:
            images.append((name, chances**2 / (chances**2).sum(), truth[0]))
        else:
            images.append((name, chances, truth[1]))
    found = scored(kind(labels, uncertainty=True), images).intervals
    weights = np.stack([weights_of(name, 120) for name in NAMES], 1)
    values = {name: [] for name in found}
    for times in weights:
        drawn = [image for image, count in zip(images, times, strict=True) for _ in range(count)]
        scores = scored(kind(labels), drawn)
        of_classes = scores.counted.by_class()
        for name, of_name in values.items():
            column, _, label = name.partition("/")
            known = of_classes[column][labels.names.index(label)] if label else scores.overall()[column]
            of_name.append(known)
    assert len(found) > 20
    for name, ends in found.items():
        known = np.array(values[name])[~np.isnan(values[name])]
        if not len(known):
            assert np.isnan(ends).all(), name
            continue
        assert ends == pytest.approx(tuple(np.percentile(known, (2.5, 97.5))), rel=1e-9, abs=1e-12), name
