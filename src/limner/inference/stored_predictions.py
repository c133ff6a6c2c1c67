"""Predictions of any program on disk: masks, objects, words or boxes, read image by image."""

from collections.abc import Sequence
from pathlib import Path

from limner.core.labels import LabelTable
from limner.core.sample import Record
from limner.evaluation.predicted_box_files import PredictedBoxes, box_files
from limner.evaluation.predicted_masks import PredictedMasks
from limner.evaluation.predicted_objects import PredictedObjects, results_file
from limner.evaluation.predicted_words import PredictedWords, word_files
from limner.formats.coco.coco_results import read_results
from limner.formats.source import BOX_TASK, TEXT_TASK, Source
from limner.inference.measurement import Predict
from limner.planning.task_choice import check_labels
from limner.tasks import find_task
from limner.tasks.task import Task


def open_predictions(
    given: Path, source: Source, labels: LabelTable, records: Sequence[Record]
) -> tuple[Task, LabelTable, Predict]:
    """Return the task of predictions on disk, the classes that are scored, and what reads each image's.

    Args:
        given: Folder of masks, of text files of words or boxes, or of COCO JSON; or a file of COCO JSON.
        source: The labelled images.
        labels: Their classes.
        records: The images to score.

    Raises:
        DataError: The predictions cannot be read.
        ConfigError: The labels are for another task than the predictions.
    """
    file = results_file(given)
    if file is not None:
        results = read_results(file)
        task = _task_for(results.kind, source)
        labels = task.labels(labels)
        return task, labels, PredictedObjects(results, labels, records).predict
    # Text files are beside boxes.json too, and a readme may be beside masks.
    words = word_files(given) if TEXT_TASK in source.tasks else None
    if words is not None:
        task = _task_for(TEXT_TASK, source)
        return task, task.labels(labels), PredictedWords(words).predict
    boxes = box_files(given) if BOX_TASK in source.tasks else None
    if boxes is not None:
        task = _task_for(BOX_TASK, source)
        labels = task.labels(labels)
        return task, labels, PredictedBoxes(boxes, labels, records).predict
    return find_task("semantic"), labels, PredictedMasks(given, labels).predict


def _task_for(name: str, source: Source) -> Task:
    """Return a task that the labels are for."""
    check_labels(source, name)
    return find_task(name)
