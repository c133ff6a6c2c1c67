"""What every row of `SCORES` promises: a score without meaning on the given images has no value anywhere."""

import math
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from limner.cli.evaluate import score_lines
from limner.core.boxes import boxes_of
from limner.core.image_class import ClassShares, ImageClass
from limner.core.label_map import LabelMap
from limner.core.labels import LabelClass, LabelTable
from limner.core.prediction import (
    BoxPrediction,
    ClassPrediction,
    PanopticPrediction,
    SegmentPrediction,
    SemanticPrediction,
    TagPrediction,
    WordPrediction,
)
from limner.core.sample import Sample
from limner.core.score_names import SCORES
from limner.core.segments import segments_of, segments_of_index
from limner.core.words import Words
from limner.evaluation.scorer import Extent
from limner.evaluation.scores_file import read_scores
from limner.evaluation.write_scores import write_scores
from limner.reporting.observations import observe
from limner.reporting.run_comparison import ComparedRuns, render_run_comparison
from limner.reporting.run_facts import Evaluation, RunFacts
from limner.reporting.sections.class_scores import classes
from limner.reporting.sections.headline import headline, verdict
from limner.tasks import find_task

IMAGE = np.full((8, 8, 3), 90, np.uint8)
IGNORED = 255

MEANS = {"mean_iou", "mean_dice", "mean_recall", "mean_boundary_iou", "mean_boundary_f1"}
PIXELS = {*MEANS, "pixel_accuracy", "frequency_weighted_iou"}
CLASS_PIXELS = {"iou", "dice", "precision", "recall", "boundary_iou", "boundary_f1"}
CASES = {
    f"{mean}{n}"
    for mean in ("", "mean_")
    for n in ("case_dice", "hd95", "surface_distance", "surface_dice", "volume_difference")
}
AREAS = {"average_precision", "area_under_roc", "best_threshold", "best_dice"}
APS = {f"{p}ap{s}" for p in ("", "box_") for s in ("", "50", "75", "_small", "_medium", "_large")}
RECALLS = {f"ar_{n}" for n in ("1", "10", "100", "small", "medium", "large")}
BOXES = {f"box_{n}" for n in ("ap", "ap50", "ap75", "ar_1", "ar_10", "ar_100", "ap_small", "ar_small")}
LARGER = {f"{n}_{size}" for n in ("ap", "ar", "box_ap") for size in ("medium", "large")}
OTHER_SIZES = {f"box_{n}_{size}" for n in ("ap", "ar") for size in ("medium", "large")}
MATCHES = {"f1", "f1_75", "precision", "recall"}


@dataclass(frozen=True)
class Situation:
    """Predictions of a task, and what is without a value there.

    Attributes:
        task: Name of the task.
        names: The classes.
        pair: Truth and prediction of an image, as in `of_pair`.
        without: Scores without any value.
        main: The main score in words, and its value as text; empty if it is undefined.
        note: Part of what is said; empty if there is nothing to say.
    """

    task: str
    names: tuple[str, ...]
    pair: tuple = field(repr=False)
    without: frozenset
    main: tuple[str, str]
    note: str = ""


def filled(value):
    return np.full((8, 8), value, np.uint8)


def split(left, right):
    return np.concatenate([np.full((8, 4), left), np.full((8, 4), right)], 1).astype(np.uint8)


def mask(area):
    drawn = np.zeros((8, 8), bool)
    drawn.reshape(-1)[:area] = True
    return drawn


def objects(labels, areas, scores=None):
    """Return classes, masks and scores of objects."""
    return labels, [mask(area) for area in areas], scores or [1.0] * len(labels)


def chances(*rows):
    """Return true classes, and the probabilities of each image."""
    return [row[0] for row in rows], [np.array(row[1:], np.float32) for row in rows]


OF_CLASSES = {f"{mean}_{n}" for mean in ("macro", "weighted") for n in ("precision", "recall", "f1_score")}
SPECIFICITIES = {"specificity", "macro_specificity", "weighted_specificity"}
CURVES = {"average_precision", "area_under_roc", "macro_average_precision", "macro_area_under_roc"}


def words(*lefts):
    """Outlines of words of 3 x 8 pixels."""
    return tuple(np.array([[x, 0], [x + 3, 0], [x + 3, 8], [x, 8]], float) for x in lefts)


BOX, SMALL = [0, 0, 4, 4], [5, 5, 7, 7]
NO_OBJECT = objects([], [])
CELLS = ("background", "cell")

SITUATIONS = {
    "one object class on a background": Situation(
        "semantic", CELLS, (split(0, 1), split(0, 1)), frozenset(), ("foreground Dice", "1.000")
    ),
    "two classes without a background": Situation(
        "semantic", ("road", "grass"), (split(0, 1), filled(0)),
        frozenset({"foreground_dice"}), ("mean IoU", "0.250"),
    ),
    "one class": Situation(
        "semantic", ("cell",), (filled(0), filled(0)),
        frozenset({*PIXELS, *CLASS_PIXELS, "foreground_dice", *AREAS, *CASES, "calibration_error"}),
        ("mean IoU", ""), "one class, cell",
    ),
    "no foreground in truth or prediction": Situation(
        "semantic", CELLS, (filled(0), filled(0)),
        frozenset({"foreground_dice", "boundary_f1", "mean_boundary_f1", *AREAS, *CASES}),
        ("foreground Dice", ""), "Neither truth nor prediction has foreground",
    ),
    "foreground in the prediction alone": Situation(
        "semantic", CELLS, (filled(0), split(0, 1)), frozenset(AREAS), ("foreground Dice", "0.000"),
        "Predicted, but not in the truth: cell",
    ),
    "foreground only": Situation(
        "semantic", CELLS, (filled(1), filled(1)),
        frozenset({"boundary_f1", "mean_boundary_f1", *AREAS}), ("foreground Dice", "1.000"),
        "only one of the two classes",
    ),
    "everything ignored": Situation(
        "semantic", CELLS, (filled(IGNORED), filled(0)),
        frozenset({*PIXELS, *CLASS_PIXELS, "foreground_dice", *AREAS, *CASES, "calibration_error"}),
        ("foreground Dice", ""), "Every pixel of the truth is ignored",
    ),
    "a class that is absent everywhere": Situation(
        "semantic", ("background", "cell", "worm"), (split(0, 1), split(0, 1)),
        frozenset({*AREAS, "calibration_error"}), ("mean IoU", "1.000 over the 2 of 3 classes"),
    ),
    "objects": Situation(
        "instance", ("cell",), (objects([0], [16]), objects([0, 0], [16, 3], [0.9, 0.6])),
        frozenset(LARGER), ("mask AP", "1.000"),
    ),
    "no true object": Situation(
        "instance", ("cell",), (NO_OBJECT, objects([0], [16])),
        frozenset({*APS, *RECALLS, "recall"}), ("mask AP", ""), "The truth has no object",
    ),
    "neither true nor found objects": Situation(
        "instance", ("cell",), (NO_OBJECT, NO_OBJECT),
        frozenset({*APS, *RECALLS, *MATCHES}), ("mask AP", ""), "The truth has no object",
    ),
    "objects of one score": Situation(
        "instance", ("cell",), (objects([0], [16]), objects([0, 0], [16, 3])),
        frozenset(LARGER),
        ("mask AP", "1.000"), "All found objects have the same score",
    ),
    "objects of low scores": Situation(
        "instance", ("cell",), (objects([0], [16]), objects([0], [16], [0.1])),
        frozenset({*LARGER, "precision"}),
        ("mask AP", "1.000"), "No found object has a score of 0.5 or more",
    ),
    "found objects of a class without true ones": Situation(
        "instance", ("cell", "worm"),
        (objects([0], [16]), objects([0, 1], [16, 3], [0.9, 0.8])),
        frozenset(LARGER),
        ("mask AP", "1.000"), "Found, but not in the truth: worm",
    ),
    "boxes": Situation(
        "detection", ("cell",), (([0], [BOX]), ([0, 0], [BOX, SMALL], [0.9, 0.6])),
        frozenset(OTHER_SIZES), ("box AP", "1.000"),
    ),
    "no true box": Situation(
        "detection", ("cell",), (([], []), ([0], [BOX], [0.9])),
        frozenset({*BOXES, *OTHER_SIZES, "voc_ap50", "froc", "recall"}), ("box AP", ""),
        "The truth has no object",
    ),
    "neither true nor found boxes": Situation(
        "detection", ("cell",), (([], []), ([], [], [])),
        frozenset({*BOXES, *OTHER_SIZES, "voc_ap50", "froc", *MATCHES}), ("box AP", ""),
        "The truth has no object",
    ),
    "segments": Situation(
        "panoptic", ("sky", "car"), (split(1, 2), split(1, 2)), frozenset(),
        ("panoptic quality (PQ)", "1.000"),
    ),
    "segments of stuff only": Situation(
        "panoptic", ("sky",), (split(1, 1), split(1, 1)),
        frozenset({"pq_things", "sq_things", "rq_things", "count_error", "count_bias"}),
        ("panoptic quality (PQ)", "1.000"),
    ),
    "images of six classes": Situation(
        "classification", tuple("abcdef"),
        chances((0, 0.6, 0.1, 0.1, 0.1, 0.05, 0.05), (1, 0.1, 0.5, 0.1, 0.1, 0.1, 0.1)),
        frozenset(), ("accuracy", "1.000"), "No image is of c, d, e, f",
    ),
    "images of two classes": Situation(
        "classification", ("ant", "bee"), chances((0, 0.9, 0.1), (1, 0.3, 0.7), (1, 0.6, 0.4)),
        frozenset({"top5_accuracy"}), ("accuracy", "0.667"),
    ),
    "a class that is never predicted": Situation(
        "classification", ("ant", "bee"), chances((0, 0.9, 0.1), (1, 0.6, 0.4)),
        frozenset({"top5_accuracy"}), ("accuracy", "0.500"), "Never predicted: bee",
    ),
    "images of one class only": Situation(
        "classification", ("ant", "bee"), chances((0, 0.9, 0.1), (0, 0.7, 0.3)),
        frozenset({"top5_accuracy", "area_under_roc", "macro_area_under_roc", "macro_specificity",
                   "weighted_specificity"}),
        ("accuracy", "1.000"), "No image is of bee",
    ),
    "one class of images": Situation(
        "classification", ("ant",), chances((0, 1.0)),
        frozenset({"top5_accuracy", "area_under_roc", "macro_area_under_roc", *SPECIFICITIES}),
        ("accuracy", "1.000"), "one class, ant",
    ),
    "images with several classes": Situation(
        "multilabel", ("sea", "sky"),
        (np.array([[1, 1], [0, 1], [1, 0]]), np.array([[0.9, 0.8], [0.2, 0.3], [0.6, 0.1]])),
        frozenset(), ("macro average precision", "1.000"),
    ),
    "images without any class": Situation(
        "multilabel", ("sea", "sky"), (np.array([[0, 0]]), np.array([[0.1, 0.2]])),
        frozenset({*CURVES, *OF_CLASSES, "precision", "recall", "f1_score", "micro_f1_score",
                   "samples_f1_score", "macro_specificity", "weighted_specificity"}),
        ("macro average precision", ""), "No image has sea, sky",
    ),
    "no true segment": Situation(
        "panoptic", ("sky", "car"), (filled(0), filled(0)),
        frozenset({n + s for n in ("pq", "sq", "rq") for s in ("", "_things", "_stuff")} | {"f1_75"}),
        ("panoptic quality (PQ)", ""), "The truth has no segment",
    ),
    "words": Situation(
        "text-detection", ("text",), ((words(0), [False]), words(0, 4)), frozenset(),
        ("harmonic mean (h-mean)", "0.667"),
    ),
    "no word that counts in the truth": Situation(
        "text-detection", ("text",), ((words(0), [True]), words(4)), frozenset({"word_recall"}),
        ("harmonic mean (h-mean)", "0.000"), "The truth has no word that counts",
    ),
    "illegible words alone": Situation(
        "text-detection", ("text",), ((words(0), [True]), words(0)),
        frozenset({"hmean", "word_precision", "word_recall", "deteval_hmean"}),
        ("harmonic mean (h-mean)", ""), "The truth has no word that counts",
    ),
    "no word found": Situation(
        "text-detection", ("text",), ((words(0), [False]), ()), frozenset({"word_precision"}),
        ("harmonic mean (h-mean)", "0.000"), "No word was found",
    ),
}  # fmt: skip


def table(situation):
    things = {"car": True, "sky": False}
    return LabelTable(
        tuple(LabelClass(n, (i,), (i, 0, 0), things.get(n)) for i, n in enumerate(situation.names))
    )


def of_pair(task, pair):
    """Return the prediction and the sample of an image."""
    truth, found = pair
    if task == "semantic":
        chance = np.stack([found == 0, found == 1]).astype(np.float32)
        return SemanticPrediction("a", found, chance), Sample("a", IMAGE, (LabelMap(truth),), (1.0, 2.0))
    if task == "instance":
        labels, masks, scores = found
        stacked = np.array(masks).reshape(-1, 8, 8).astype(bool)
        prediction = SegmentPrediction("a", stacked, np.array(labels, np.int64), np.array(scores, np.float32))
        return prediction, Sample("a", IMAGE, (segments_of(truth[1], truth[0], shape=(8, 8)),))
    if task == "text-detection":
        polygons, ignored = truth
        target = Words(polygons, (None,) * len(polygons), np.array(ignored))
        scores = np.ones(len(found), np.float32)
        return WordPrediction("a", found, scores), Sample("a", IMAGE, (target,))
    if task == "detection":
        labels, xyxy, scores = (np.array(part) for part in found)
        prediction = BoxPrediction(
            "a",
            xyxy.reshape(-1, 4).astype(np.float32),
            labels.astype(np.int64),
            scores.astype(np.float32),
            (8, 8),
        )
        return prediction, Sample("a", IMAGE, (boxes_of(truth[1], truth[0], shape=(8, 8)),))
    labels = np.arange(found.max(), dtype=np.int64)
    prediction = PanopticPrediction(
        "a", found.astype(np.int32), labels, np.ones(len(labels), np.float32), labels == 1
    )
    segments = segments_of_index(truth.astype(np.int64), list(range(int(truth.max()))))
    return prediction, Sample("a", IMAGE, (segments,))


def of_images(task, pair):
    """Yield predictions and samples of whole images."""
    for number, (truth, found) in enumerate(zip(*pair, strict=True)):
        if task == "classification":
            yield ClassPrediction(f"{number}", found), Sample(f"{number}", IMAGE, (ImageClass(truth),))
        else:
            shares = ClassShares(truth.astype(np.float32))
            yield TagPrediction(f"{number}", found.astype(np.float32)), Sample(f"{number}", IMAGE, (shares,))


def scored(situation):
    labels = table(situation)
    if find_task(situation.task).sees_whole_images:
        scorer = find_task(situation.task).scorer(labels, Extent(uncertainty=True))
        for prediction, sample in of_images(situation.task, situation.pair):
            scorer.score(prediction, sample)
        return scorer.compute()
    semantic = situation.task == "semantic"
    extent = Extent(semantic, semantic and len(situation.names) == 2, cases=semantic)
    scorer = find_task(situation.task).scorer(labels, extent)
    scorer.score(*of_pair(situation.task, situation.pair))
    return scorer.compute()


@pytest.fixture(params=SITUATIONS, ids=lambda name: name.replace(" ", "-"))
def case(request, tmp_path):
    situation = SITUATIONS[request.param]
    if situation.task == "instance":
        pytest.importorskip("pycocotools")
    return situation, read_scores(write_scores(tmp_path, scored(situation), split="val"))


@cache
def own_scores(task):
    """Return the scores that a task writes at all."""
    names = set()
    for situation in SITUATIONS.values():
        if situation.task == task:
            values = scored(situation).to_dict()
            parts = [values, *values["classes"], values.get("thresholds") or {}]
            names |= {name for part in parts for name in part if name in SCORES}
    return names


def test_what_does_not_apply_has_no_value(case):
    situation, file = case
    expected = {n for n in own_scores(situation.task) if n not in situation.without}
    assert file.names(measured=True) == expected
    assert all(value is None or math.isfinite(value) for value in file.scores.values())


def test_every_score_has_a_value_where_it_applies():
    pytest.importorskip("pycocotools")
    with_value = set().union(*(own_scores(s.task) - s.without for s in SITUATIONS.values()))
    assert {*SCORES} - with_value <= {*LARGER, *OTHER_SIZES}


def test_what_is_shown_names_the_main_score_and_what_misleads(case):
    situation, file = case
    facts = RunFacts(root=Path("run"), evaluations=(Evaluation("val", file),))
    words, value = situation.main
    said = verdict(facts)
    assert f"{words} of {value}" in said if value else f"{words} is undefined" in said
    page, terminal = str(headline(facts)) + str(classes(facts)), "\n".join(score_lines(file))
    compared = render_run_comparison(ComparedRuns(("a", "b"), (facts, facts), "val", ({},)))
    for text in (said, page, terminal, compared):
        assert not re.search(r"\bnan\b", text)
    notes = [o.text for o in observe(facts) if o.tone == "warning"]
    assert bool(file.notes) is bool(situation.note)
    for text in (" ".join(notes), " ".join(file.notes), terminal, compared):
        assert situation.note in text.replace("&#x27;", "'")
    if value:
        assert terminal.startswith(words)
