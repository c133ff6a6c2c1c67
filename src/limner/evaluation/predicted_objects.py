"""Predicted objects, boxes and panoptic segments of other programs, matched with images by id or name."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from limner.core.errors import DataError, describe
from limner.core.labels import LabelTable
from limner.core.prediction import BoxPrediction, PanopticPrediction, SegmentPrediction
from limner.core.sample import Record, Sample, axes_text, size_text
from limner.formats.coco.coco_json import Id, plain_id
from limner.formats.coco.coco_results import CocoResults
from limner.formats.image_finder import ImageFinder
from limner.storage.unfinished import refuse_unfinished

FILES = ("instances.json", "panoptic.json", "boxes.json")
"""Names of the JSON files that `limner predict` writes, which may be given as their folder."""


def results_file(predictions: Path) -> Path | None:
    """Return the JSON file of objects, boxes or segments at a path or in a folder, or None for masks.

    Raises:
        DataError: The prediction there was interrupted.
    """
    for folder in (predictions, predictions.parent):
        refuse_unfinished(folder)
    if predictions.suffix.lower() == ".json":
        return predictions
    return next((predictions / name for name in FILES if (predictions / name).is_file()), None)


class PredictedObjects:
    """Looks up the predictions for each image in a COCO JSON file.

    Args:
        results: Predictions from the file.
        labels: The classes of the data; category ids without names are those of the data.
        records: The evaluated images.

    Raises:
        DataError: A category is unknown, or no image of the file is among the records.
    """

    def __init__(self, results: CocoResults, labels: LabelTable, records: Sequence[Record]) -> None:
        self.results = results
        self.labels = labels
        self._ids = _ids_of(results, records)
        self._label_of = _labels_by_category(results, labels)

    def predict(self, sample: Sample) -> SegmentPrediction | BoxPrediction | PanopticPrediction:
        """Return the predictions for an image: objects or boxes (possibly none), or segments.

        Raises:
            DataError: There are no segments for it, or they do not match the image or labels.
        """
        number = self._ids.get(sample.name)
        if self.results.kind == "instance":
            return self._objects(sample, number)
        if self.results.kind == "detection":
            return self._boxes(sample, number)
        if number is None or number not in self.results.packed:
            raise DataError(
                describe(
                    "An image has no predicted segments",
                    where=self.results.path,
                    found=f"no annotation of {sample.name}",
                    expected="an annotation with its image_id or file name",
                )
            )
        return self._segments(sample, number)

    def _objects(self, sample: Sample, number: Id | None) -> SegmentPrediction:
        shape = sample.spatial_shape
        found = ([], [], []) if number is None else self.results.objects(number, shape)
        masks, categories, scores = found
        order = np.argsort(-np.array(scores), kind="stable")
        stacked = np.array(masks)[order] if masks else np.zeros((0, *shape), bool)
        labels = np.array([self._label(categories[i]) for i in order], np.int64)
        return SegmentPrediction(sample.name, stacked, labels, np.array(scores, np.float32)[order])

    def _boxes(self, sample: Sample, number: Id | None) -> BoxPrediction:
        boxes, categories, scores = ([], [], []) if number is None else self.results.boxes(number)
        order = np.argsort(-np.array(scores), kind="stable")
        xyxy = np.array(boxes, np.float32).reshape(-1, 4)[order]
        labels = np.array([self._label(categories[i]) for i in order], np.int64)
        return BoxPrediction(
            sample.name, xyxy, labels, np.array(scores, np.float32)[order], sample.spatial_shape
        )

    def _segments(self, sample: Sample, number: Id) -> PanopticPrediction:
        ids, categories = self.results.segments(number)
        if ids.shape != sample.spatial_shape:
            raise DataError(
                describe(
                    "Predicted segments and their image differ in size",
                    where=f"{self.results.path}, image {number}",
                    found=f"{size_text(ids.shape)} pixels ({axes_text(ids.shape)})",
                    expected=size_text(sample.spatial_shape),
                    fix="Resize predictions to the image's size (nearest neighbour) before saving them.",
                )
            )
        labels = np.array([self._label(category) for category in categories], np.int64)
        things = self.labels.is_thing[labels]
        return PanopticPrediction(
            sample.name, ids.astype(np.int32), labels, np.ones(len(labels), np.float32), things
        )

    def _label(self, category: Id) -> int:
        if category in self._label_of:
            return self._label_of[category]
        raise DataError(
            describe(
                "A prediction has a category that is not in the data",
                where=self.results.path,
                found=f"category_id {category}",
                expected=f"one of {', '.join(map(str, self._label_of))}",
                fix="Use the category ids of the data, or list `categories` with their names.",
            )
        )


def _ids_of(results: CocoResults, records: Sequence[Record]) -> dict[str, Id]:
    """Return record name -> id of the image in the file."""
    named = {number: name for number, name in results.file_names.items() if name}
    if named:
        by_path = {PurePosixPath(record.image): record.name for record in records}
        finder = ImageFinder(by_path)
        ids: dict[str, Id] = {}
        for number, name in named.items():
            path = finder.find(name)
            if path is not None and ids.setdefault(by_path[path], number) != number:
                raise DataError(
                    describe(
                        "Two images in the predictions match the same image of the data",
                        where=results.path,
                        found=f"{named[ids[by_path[path]]]} and {name} for {path}",
                        expected="distinct file names, with folders if necessary",
                    )
                )
    else:
        wanted = set(results.packed)
        ids = {r.name: number for r in records for number in _possible_ids(r) if number in wanted}
    if records and not ids:
        known = ", ".join(str(name) for name in list(named.values() or results.packed)[:3])
        raise DataError(
            describe(
                "None of the images in the predictions is in the evaluated data",
                where=results.path,
                found=known or "no predictions",
                expected=f"images such as {records[0].image.name}",
                fix="Evaluate on the data that was predicted, or use the image names of the data.",
            )
        )
    return ids


def _possible_ids(record: Record) -> tuple[Id | None, ...]:
    """Return possible values of image_id for this image: its COCO id, name, file name or stem."""
    own = record.entry.rpartition("#")[2] if record.entry else None
    texts = (own, record.name, record.image.name, record.image.stem)
    return tuple(plain_id(text) for text in texts)


def _labels_by_category(results: CocoResults, labels: LabelTable) -> dict[Id, int]:
    """Return category id -> trained label: by name if the file has names, else by the data's ids."""
    if not results.categories:
        return {value: k for k, known in enumerate(labels.classes) for value in known.values}
    places = {name.casefold(): k for k, name in enumerate(labels.names)}
    found = {
        i: places[name.casefold()] for i, name in results.categories.items() if name.casefold() in places
    }
    if not found:
        raise DataError(
            describe(
                "The predictions and the data have no class in common",
                where=results.path,
                found=", ".join(list(results.categories.values())[:5]),
                expected=f"classes of the data: {', '.join(labels.names[:5])}",
                fix="Use the class names of the data in `categories`.",
            )
        )
    return found
