"""Predictions as COCO's JSON, written as images come, so that memory does not grow with their number.

The files have the shape of COCO's labels with a ``score`` more, so that limner and other tools read them.
"""

import json
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np

from limner.core.labels import LabelTable
from limner.core.prediction import PanopticPrediction, SegmentPrediction
from limner.core.segments import Mask
from limner.formats.coco_panoptic import write_panoptic_png


class CocoPredictions:
    """A JSON file of `images`, `annotations` and `categories`; the file appears whole when it is closed.

    Args:
        path: The JSON file.
        labels: The classes; their first mask values are the category ids.
    """

    def __init__(self, path: Path, labels: LabelTable) -> None:
        self.path = path
        self.labels = labels
        self._aside = path.with_name(f".{path.name}.part")
        self._file: TextIO = self._aside.open("w", encoding="utf-8")
        self._file.write('{"annotations": [')
        self._images: list[dict[str, Any]] = []
        self._num_rows = 0

    def add(self, prediction: SegmentPrediction, *, file_name: str) -> None:
        """Write the objects of one image; its id is its number in the file.

        Args:
            prediction: (H, W) masks.
            file_name: Of the image, as other tools should find it.
        """
        image = self._image(file_name, prediction.masks.shape[1:])
        for mask, label, score in zip(prediction.masks, prediction.labels, prediction.scores, strict=True):
            self._row(
                {"id": self._num_rows + 1, "image_id": image, "category_id": self._category(int(label))}
                | _drawn(mask)
                | {"iscrowd": 0, "score": round(float(score), 5)}
            )

    def add_panoptic(self, prediction: PanopticPrediction, *, file_name: str, png: Path) -> None:
        """Write the segments of one image, and the PNG whose colours are their numbers."""
        ids = prediction.segment_ids
        image = self._image(file_name, ids.shape)
        write_panoptic_png(png, ids)
        areas = np.bincount(ids.ravel(), minlength=len(prediction.labels) + 1)
        infos = [
            {
                "id": i + 1,
                "category_id": self._category(int(label)),
                "area": int(areas[i + 1]),
                "bbox": _box(ids == i + 1),
                "iscrowd": 0,
                "score": round(float(prediction.scores[i]), 5),
            }
            for i, label in enumerate(prediction.labels)
            if areas[i + 1]
        ]
        self._row({"image_id": image, "file_name": png.name, "segments_info": infos})

    def __enter__(self) -> "CocoPredictions":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        categories = [
            {"id": c.values[0], "name": c.name, "isthing": int(thing), "color": list(c.color)}
            for c, thing in zip(self.labels.classes, self.labels.is_thing, strict=True)
        ]
        self._file.write(
            f'], "images": {json.dumps(self._images)}, "categories": {json.dumps(categories)}}}\n'
        )
        self._file.close()
        self._aside.replace(self.path)

    def _image(self, file_name: str, shape: tuple[int, ...]) -> int:
        number = len(self._images) + 1
        self._images.append({"id": number, "file_name": file_name, "height": shape[0], "width": shape[1]})
        return number

    def _category(self, label: int) -> int:
        return self.labels.classes[label].values[0]

    def _row(self, row: dict[str, Any]) -> None:
        self._file.write((",\n" if self._num_rows else "\n") + json.dumps(row))
        self._num_rows += 1


def _drawn(mask: Mask) -> dict[str, Any]:
    """Return a mask as COCO's compressed run lengths, with its box and area."""
    from pycocotools import mask as coco_mask

    runs = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    counts, size = runs["counts"].decode(), [int(side) for side in runs["size"]]
    return {"segmentation": {"counts": counts, "size": size}, "bbox": _box(mask), "area": int(mask.sum())}


def _box(mask: Mask) -> list[int]:
    """Return left, top, width and height; zeros of an empty mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return [0, 0, 0, 0]
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]
