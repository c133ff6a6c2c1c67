"""COCO's JSON of labels and predictions, written image by image so that memory use stays constant.

Predictions look like labels with an additional ``score``, so that limner and other tools can read them.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from limner.core.labels import LabelTable
from limner.core.prediction import BoxPrediction, PanopticPrediction, SegmentPrediction
from limner.core.segments import Mask
from limner.formats.coco.coco_panoptic import write_panoptic_png
from limner.formats.drawn import box_of_mask
from limner.formats.writers import Entry
from limner.storage.spooled_rows import SpooledRows
from limner.storage.whole_files import GrowingFile


def coco_entry(file_name: str, shape: Sequence[int], rows: list[dict[str, Any]]) -> Entry:
    """Return an image with its annotations, for `write_coco`, which numbers both.

    Args:
        file_name: Name of the image.
        shape: (H, W).
        rows: One row per object, or a single one with the segments of the image.
    """
    return {"image": {"file_name": file_name, "height": shape[0], "width": shape[1]}, "rows": rows}


def write_coco(
    path: Path, entries: Iterable[Entry], labels: LabelTable, *, without: Collection[int] = ()
) -> None:
    """Write a JSON file of `images`, `annotations` and `categories`, entry by entry.

    Args:
        path: The JSON file.
        entries: Results of `coco_entry`.
        labels: The classes; their first mask values are the category ids.
        without: Values of classes without a category, such as the background.
    """
    images, num_rows = SpooledRows(), 0
    with GrowingFile(path) as file:
        file.write('{"annotations": [')
        for number, entry in enumerate(entries, start=1):
            images.append({"id": number, **entry["image"]})
            for row in entry["rows"]:
                is_object = "segments_info" not in row
                own_id = {"id": num_rows + 1} if is_object else {}
                line = json.dumps(own_id | {"image_id": number} | row)
                file.write((",\n" if num_rows else "\n") + line)
                num_rows += 1
        categories = [
            {"id": c.values[0], "name": c.name, "isthing": int(thing), "color": list(c.color)}
            for c, thing in zip(labels.classes, labels.is_thing, strict=True)
            if c.values[0] not in without
        ]
        file.write('], "images": [')
        for number, line in enumerate(images.lines()):
            file.write(f", {line}" if number else line)
        file.write(f'], "categories": {json.dumps(categories)}}}\n')


def annotation_stem(kind: str, split: str | None) -> str:
    """Return the name of the JSON file of a split, without suffix; None is for images in no split."""
    return kind if split is None else f"{kind}_{split}"


def write_coco_splits(
    root: Path, kind: str, entries: Iterable[Entry], labels: LabelTable, *, without: Collection[int] = ()
) -> None:
    """Write one JSON file for each split to ``annotations/``.

    Args:
        root: The dataset folder.
        kind: First part of the file names, such as ``instances``.
        entries: Results of `coco_entry`, each with its `split`; iterated once for each split.
        labels: As in `write_coco`.
        without: As in `write_coco`.
    """
    for split in dict.fromkeys(entry["split"] for entry in entries):
        members = (entry for entry in entries if entry["split"] == split)
        path = root / "annotations" / f"{annotation_stem(kind, split)}.json"
        write_coco(path, members, labels, without=without)


def category(labels: LabelTable, label: int) -> int:
    """Return the category id of a trained label."""
    return labels.classes[label].values[0]


def shortest(value: np.floating[Any]) -> float:
    """Return a float32 as the number of fewest digits that is read as the same, so that files score alike."""
    return float(str(np.float32(value)))


def predicted_objects(prediction: SegmentPrediction, labels: LabelTable, *, file_name: str) -> Entry:
    """Return the objects of one image, each with a score.

    Args:
        prediction: (H, W) masks.
        labels: The classes.
        file_name: Name by which other tools find the image.
    """
    rows = [
        {"category_id": category(labels, int(label))}
        | runs_row(mask)
        | {"iscrowd": 0, "score": shortest(score)}
        for mask, label, score in zip(prediction.masks, prediction.labels, prediction.scores, strict=True)
    ]
    return coco_entry(file_name, prediction.masks.shape[1:], rows)


def predicted_boxes(prediction: BoxPrediction, labels: LabelTable, *, file_name: str) -> Entry:
    """Return the boxes of one image, each with a score.

    Args:
        prediction: Boxes in pixels of the image.
        labels: The classes.
        file_name: Name by which other tools find the image.
    """
    rows = []
    for xyxy, label, score in zip(prediction.xyxy, prediction.labels, prediction.scores, strict=True):
        left, top, right, bottom = map(shortest, xyxy)
        box = [left, top, round(right - left, 9), round(bottom - top, 9)]
        rows.append(
            {
                "category_id": category(labels, int(label)),
                "bbox": box,
                "area": round(box[2] * box[3], 9),
                "iscrowd": 0,
                "score": shortest(score),
            }
        )
    return coco_entry(file_name, prediction.shape, rows)


def predicted_segments(
    prediction: PanopticPrediction, labels: LabelTable, *, file_name: str, png: Path
) -> Entry:
    """Return the segments of one image, and write the PNG whose colours number them."""
    ids = prediction.segment_ids
    write_panoptic_png(png, ids)
    areas = np.bincount(ids.ravel(), minlength=len(prediction.labels) + 1)
    infos = [
        {
            "id": i + 1,
            "category_id": category(labels, int(label)),
            "area": int(areas[i + 1]),
            "bbox": whole_box(ids == i + 1),
            "iscrowd": 0,
            "score": shortest(prediction.scores[i]),
        }
        for i, label in enumerate(prediction.labels)
        if areas[i + 1]
    ]
    return coco_entry(file_name, ids.shape, [{"file_name": png.name, "segments_info": infos}])


def runs_row(mask: Mask) -> dict[str, Any]:
    """Return a mask as COCO's compressed run lengths, with its box and area."""
    from pycocotools import mask as coco_mask

    runs = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    counts, size = runs["counts"].decode(), [int(side) for side in runs["size"]]
    return {
        "segmentation": {"counts": counts, "size": size},
        "bbox": whole_box(mask),
        "area": int(mask.sum()),
    }


def whole_box(mask: Mask) -> list[int]:
    """Return left, top, width and height; zeros if the mask is empty."""
    left, top, right, bottom = map(int, box_of_mask(mask))
    return [left, top, right - left, bottom - top]
