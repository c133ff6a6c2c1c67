"""scores.json of today and of earlier versions, and the table of scores against what scorers emit."""

import json
from pathlib import Path

import numpy as np
import pytest

from limner.core.boxes import boxes_of
from limner.core.errors import DataError
from limner.core.image_class import ClassShares, ImageClass
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
from limner.core.score_names import NOTES, SCORES
from limner.core.segments import segments_of, segments_of_index
from limner.core.words import Words
from limner.evaluation.class_scorer import ClassScorer
from limner.evaluation.detection_scorer import DetectionScorer
from limner.evaluation.instance_scorer import InstanceScorer
from limner.evaluation.panoptic_scorer import PanopticScorer
from limner.evaluation.scores_file import ScoresFile, read_scores
from limner.evaluation.semantic_scorer import SemanticScorer
from limner.evaluation.tag_scorer import TagScorer
from limner.evaluation.word_scorer import WordScorer
from limner.evaluation.write_scores import scores_dict

OLD = Path(__file__).parent / "old_scores"
"""Written before scores had one table."""

LABELS = LabelTable(
    (
        LabelClass("background", (0,), (0, 0, 0), is_thing=False),
        LabelClass("cell", (1,), (9, 9, 9), is_thing=True),
    )
)
IMAGE = np.zeros((12, 12, 3), np.uint8)


def square(*corners):
    mask = np.zeros((12, 12), bool)
    mask[slice(*corners), slice(*corners)] = True
    return mask


def semantic():
    scorer = SemanticScorer(LABELS, boundaries=True, thresholds=True, uncertainty=True, cases=True)
    for number in range(5):
        truth, found = square(2, 9).astype(np.uint8), square(3, 9).astype(np.uint8)
        sure = np.where(found, 0.9, 0.2).astype(np.float32)
        scorer.update(SemanticPrediction(str(number), found, np.stack([1 - sure, sure])), truth)
    return scorer


def instance():
    pytest.importorskip("pycocotools")
    scorer = InstanceScorer(LABELS.things(), uncertainty=True)
    for number in range(5):
        truth = segments_of([square(0, 5), square(6, 11)], [0, 0], shape=(12, 12))
        masks = np.array([square(0, 5)])
        found = SegmentPrediction(str(number), masks, np.zeros(1, np.int64), np.array([0.9], np.float32))
        scorer.score(found, Sample(str(number), IMAGE, (truth,)))
    return scorer


def panoptic():
    scorer = PanopticScorer(LABELS, uncertainty=True)
    for number in range(5):
        ids = square(2, 9).astype(np.int32) + 1
        things = np.array([False, True])
        found = PanopticPrediction(str(number), ids - 1, np.array([1]), np.ones(1, np.float32), things[1:])
        truth = segments_of_index(ids, [0, 1])
        scorer.score(found, Sample(str(number), IMAGE, (truth,)))
    return scorer


def detection():
    scorer = DetectionScorer(LABELS.things(), uncertainty=True)
    for number in range(5):
        truth = boxes_of([[0, 0, 5, 5], [6, 6, 11, 11]], [0, 0], shape=(12, 12))
        boxes, labels = np.array([[0, 0, 5, 5]], np.float32), np.zeros(1, np.int64)
        found = BoxPrediction(str(number), boxes, labels, np.array([0.9], np.float32), (12, 12))
        scorer.score(found, Sample(str(number), IMAGE, (truth,)))
    return scorer


SIX = LabelTable(tuple(LabelClass(name, (i,), (i, i, i)) for i, name in enumerate("abcdef")))


def classification():
    scorer = ClassScorer(SIX, uncertainty=True)
    for number in range(12):
        chances = np.full(6, 0.1, np.float32)
        chances[number * 5 % 6] = 0.5
        found = ClassPrediction(str(number), chances)
        scorer.score(found, Sample(str(number), IMAGE, (ImageClass(number % 6),)))
    return scorer


def multilabel():
    scorer = TagScorer(SIX, uncertainty=True)
    for number in range(12):
        truth = np.isin(np.arange(6), [number % 6, number % 4]).astype(np.float32)
        found = TagPrediction(str(number), np.roll(truth, number % 3 == 0) * np.float32(0.9))
        scorer.score(found, Sample(str(number), IMAGE, (ClassShares(truth),)))
    return scorer


def text_detection():
    scorer = WordScorer(LabelTable((LabelClass("text", (1,), (0, 0, 0), True),)), uncertainty=True)
    outline = np.array([[1, 1], [9, 1], [9, 4], [1, 4]], float)
    for number in range(5):
        truth = Words((outline, outline + 5), ("a", None), np.array([False, number % 2 == 0]))
        found = WordPrediction(str(number), (outline,), np.array([0.9], np.float32))
        scorer.score(found, Sample(str(number), IMAGE, (truth,)))
    return scorer


OLD_SCORERS = {"semantic": semantic, "instance": instance, "panoptic": panoptic}
SCORERS = {
    **OLD_SCORERS,
    "detection": detection,
    "text-detection": text_detection,
    "classification": classification,
    "multilabel": multilabel,
}


@pytest.mark.parametrize("task", SCORERS)
def test_what_a_scorer_emits_is_in_the_table_and_explained(task):
    scores = SCORERS[task]().compute()
    found = scores_dict(scores, split="val")
    file = ScoresFile.model_validate(found)
    assert file.names() <= SCORES.keys()
    assert file.names() | {"absent"} <= found["definitions"].keys() <= file.names() | NOTES.keys()
    logged = {name.partition("/")[0] for name, _ in scores.items()}
    assert file.scores.keys() <= logged <= file.names()  # all over all classes; by class what is affordable
    assert {name.partition("/")[0] for name in (*file.intervals, *file.per_image)} <= file.names()


def test_every_row_of_the_table_is_emitted_and_shown_as_it_says():
    overall, by_class, within = set(), set(), set()
    for make in SCORERS.values():
        file = ScoresFile.model_validate(scores_dict(make().compute(), split="val"))
        overall |= file.scores.keys()
        by_class |= {name for row in file.classes for name in row.scores}
        within |= file.names()
    assert within == SCORES.keys()
    assert overall == {name for name, score in SCORES.items() if score.shown}
    assert by_class == {name for name, score in SCORES.items() if score.by_class}


@pytest.mark.parametrize("task", OLD_SCORERS)
def test_scores_of_earlier_versions_are_read(task):
    written = json.loads((OLD / f"{task}.json").read_text("utf-8"))
    file = read_scores(OLD / f"{task}.json")
    assert (file.task, file.num_images, file.split) == (task, written["num_images"], "val")
    assert file.scores.items() <= written.items() and len(file.scores) >= 7
    for row, written_row in zip(file.classes, written["classes"], strict=True):
        assert row.model_dump(exclude_unset=True) == written_row
    for name, ends in written["intervals"].items():
        assert file.interval(name) == (None if None in ends else tuple(ends))
    for name, spread in file.per_image.items():
        assert spread.mean == written["per_image"][name]["mean"]
    assert [row.name for row in file.skipped] == ["bad"]


def test_scores_of_the_first_version_are_read(tmp_path):
    """It had no version, intervals, spreads or outlines."""
    written = json.loads((OLD / "semantic.json").read_text("utf-8"))
    for name in ("version", "intervals", "per_image", "thresholds", "mean_boundary_iou", "mean_boundary_f1"):
        del written[name]
    for row in written["classes"]:
        del row["boundary_iou"], row["boundary_f1"]
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(written), "utf-8")
    file = read_scores(path)
    assert file.scores["mean_iou"] == written["mean_iou"] and file.interval("mean_iou") is None
    assert file.class_columns == ["iou", "dice", "precision", "recall", "pixels", "predicted_pixels"]


def test_columns_of_classes_are_those_that_were_measured():
    columns = {task: read_scores(OLD / f"{task}.json").class_columns for task in OLD_SCORERS}
    assert columns["semantic"][4:] == ["boundary_iou", "boundary_f1", "pixels", "predicted_pixels"]
    assert columns["instance"] == ["ap", "ap50", "box_ap", "f1", "objects", "found_objects"]
    assert columns["panoptic"][:3] == ["pq", "sq", "rq"] and "false_positives" in columns["panoptic"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"task": "semantic", "num_images": "many", "classes": []}', "num_images: .*found 'many'"),
        ('{"task": "semantic", "num_images": 3}', "classes: required key is missing"),
        ('{"task": "semantic", "num_images": 3, "classes": [], "mean_iou": "good"}', "mean_iou"),
        ("[]", "Not the scores of an evaluation"),
        ("{", "Not the scores of an evaluation"),
    ],
)
def test_what_is_no_scores_file_is_refused(tmp_path, text, said):
    path = tmp_path / "scores.json"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match=said):
        read_scores(path)
