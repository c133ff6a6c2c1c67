"""Predictions as JSON-ready values: what `Task.to_json` of the tasks is made of.

Masks are run lengths in COCO's compressed form, boxes are left, top, right and bottom in pixels of the image,
and each class has its name beside its number.

Shape legend: H, W image size, N objects, K classes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelArray, LabelTable
from limner.core.prediction import BoxPrediction, PanopticPrediction, SegmentPrediction, WordPrediction
from limner.core.segments import Mask
from limner.formats.coco.coco_writing import runs_row
from limner.formats.shapes.polygons import outlines_of

DECIMALS = 2
"""Decimals of coordinates."""


def classes_json(labels: LabelArray, table: LabelTable) -> list[dict[str, Any]]:
    """Return the number of pixels of every class, and its mask where the class occurs in an image.

    Args:
        labels: (H, W), or (D, H, W) of a volume, whose classes have no masks.
        table: The classes.
    """
    counts = np.bincount(labels.ravel(), minlength=1 + table.ignore_index)
    rows = []
    for index in range(table.num_classes):
        row = _class(index, table) | {"pixels": int(counts[index])}
        if labels.ndim == 2 and counts[index]:
            row["mask"] = runs_row(labels == index)["segmentation"]
        rows.append(row)
    return rows


def objects_json(prediction: SegmentPrediction, table: LabelTable, *, polygons: bool) -> list[dict[str, Any]]:
    """Return each object with its score, box, number of pixels and mask, highest score first."""
    found = zip(prediction.masks, prediction.labels.tolist(), prediction.scores.tolist(), strict=True)
    return [_segment(mask, label, score, table, polygons=polygons) for mask, label, score in found]


def segments_json(
    prediction: PanopticPrediction, table: LabelTable, *, polygons: bool
) -> list[dict[str, Any]]:
    """Return each segment like an object, with ``is_thing``; those without a pixel are left out."""
    ids = prediction.segment_ids
    areas = np.bincount(ids.ravel(), minlength=len(prediction.labels) + 1)[1:]
    rows = []
    for i in np.flatnonzero(areas).tolist():
        label, score = int(prediction.labels[i]), float(prediction.scores[i])
        row = _segment(ids == i + 1, label, score, table, polygons=polygons)
        rows.append(row | {"is_thing": bool(prediction.is_thing[i])})
    return rows


def boxes_json(prediction: BoxPrediction, table: LabelTable) -> list[dict[str, Any]]:
    """Return each box with its class and score, highest score first."""
    found = zip(prediction.xyxy, prediction.labels.tolist(), prediction.scores.tolist(), strict=True)
    return [_class(label, table) | _scored(score) | _box(xyxy.tolist()) for xyxy, label, score in found]


def words_json(prediction: WordPrediction) -> list[dict[str, Any]]:
    """Return the outline, box and score of each word, highest score first."""
    return [
        {"polygon": np.round(polygon, DECIMALS).tolist()}
        | _box([*polygon.min(0).tolist(), *polygon.max(0).tolist()])
        | _scored(score)
        for polygon, score in zip(prediction.polygons, prediction.scores.tolist(), strict=True)
    ]


def probabilities_json(
    probabilities: npt.NDArray[np.float32], table: LabelTable, predicted: Sequence[int]
) -> list[dict[str, Any]]:
    """Return the probability of every class, the highest first, and whether it is predicted.

    Args:
        probabilities: (K,).
        table: The classes.
        predicted: The predicted classes.
    """
    return [
        _class(index, table)
        | {"probability": round(float(probabilities[index]), 6), "is_predicted": index in predicted}
        for index in (-probabilities).argsort(kind="stable").tolist()
    ]


def _segment(mask: Mask, label: int, score: float, table: LabelTable, *, polygons: bool) -> dict[str, Any]:
    row = runs_row(mask)
    left, top, width, height = row["bbox"]
    found = _class(label, table) | _scored(score) | _box([left, top, left + width, top + height])
    found |= {"pixels": row["area"], "mask": row["segmentation"]}
    if polygons:
        found["polygons"] = [
            {"is_hole": is_hole, "points": np.reshape(outline, (-1, 2)).tolist()}
            for is_hole, outline in outlines_of(mask)
        ]
    return found


def _class(index: int, table: LabelTable) -> dict[str, Any]:
    return {"index": index, "name": table.names[index]}


def _scored(score: float) -> dict[str, Any]:
    return {"score": round(score, 5)}


def _box(xyxy: Sequence[float]) -> dict[str, Any]:
    return {"box_xyxy": [round(side, DECIMALS) for side in xyxy]}
