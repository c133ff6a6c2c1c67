"""COCO's JSON of labels and predictions, written image by image so that memory use stays constant.

Predictions look like labels with an additional ``score``, so that limner and other tools can read them.
"""

import json
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from limner.core.labels import LabelTable
from limner.core.prediction import PanopticPrediction, SegmentPrediction
from limner.core.segments import Mask
from limner.formats.coco.coco_panoptic import write_panoptic_png
from limner.formats.drawn import box_of_mask
from limner.storage.whole_files import GrowingFile


class CocoStream(ExitStack):
    """A JSON file of `images`, `annotations` and `categories`; whole once its block ends without an error.

    Args:
        path: The JSON file.
        labels: The classes; their first mask values are the category ids.
        without: Values of classes without a category, such as the background.
    """

    def __init__(self, path: Path, labels: LabelTable, *, without: Collection[int] = ()) -> None:
        super().__init__()
        self.path = path
        self.labels = labels
        self._without = without
        self._file = self.enter_context(GrowingFile(path))
        self.push(self._write_end)
        self._file.write('{"annotations": [')
        self._images: list[dict[str, Any]] = []
        self._num_rows = 0

    def image(self, file_name: str, shape: tuple[int, ...]) -> int:
        """List an image and return its id."""
        number = len(self._images) + 1
        self._images.append({"id": number, "file_name": file_name, "height": shape[0], "width": shape[1]})
        return number

    def category(self, label: int) -> int:
        """Return the category id of a trained label."""
        return self.labels.classes[label].values[0]

    def row(self, row: dict[str, Any]) -> None:
        """Write one annotation, of an object (with `id`) or of a whole image."""
        self._file.write((",\n" if self._num_rows else "\n") + json.dumps(row))
        self._num_rows += 1

    def object_row(self, image: int, label: int, row: dict[str, Any]) -> None:
        """Write the annotation of one object, numbered in the order of writing."""
        self.row({"id": self._num_rows + 1, "image_id": image, "category_id": self.category(label)} | row)

    def _write_end(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            return
        categories = [
            {"id": c.values[0], "name": c.name, "isthing": int(thing), "color": list(c.color)}
            for c, thing in zip(self.labels.classes, self.labels.is_thing, strict=True)
            if c.values[0] not in self._without
        ]
        self._file.write(
            f'], "images": {json.dumps(self._images)}, "categories": {json.dumps(categories)}}}\n'
        )


class CocoStreams(ExitStack):
    """One JSON file for each split, in ``annotations/``; all are closed at the end of the block.

    Args:
        root: The dataset folder.
        kind: First part of the file names, such as ``instances``.
        labels: As in `CocoStream`.
        without: As in `CocoStream`.
    """

    def __init__(self, root: Path, kind: str, labels: LabelTable, *, without: Collection[int] = ()) -> None:
        super().__init__()
        self._folder, self._kind = root / "annotations", kind
        self._labels, self._without = labels, without
        self._files: dict[str | None, CocoStream] = {}

    def of(self, split: str | None) -> CocoStream:
        """Return the file of a split, created on first use; None is for images in no split."""
        if split not in self._files:
            stem = self._kind if split is None else f"{self._kind}_{split}"
            file = CocoStream(self._folder / f"{stem}.json", self._labels, without=self._without)
            self._files[split] = self.enter_context(file)
        return self._files[split]


class CocoPredictions(CocoStream):
    """Predictions written like COCO's labels, each with a score."""

    def add(self, prediction: SegmentPrediction, *, file_name: str) -> None:
        """Write the objects of one image; its id is its number in the file.

        Args:
            prediction: (H, W) masks.
            file_name: Name by which other tools find the image.
        """
        image = self.image(file_name, prediction.masks.shape[1:])
        for mask, label, score in zip(prediction.masks, prediction.labels, prediction.scores, strict=True):
            row = runs_row(mask) | {"iscrowd": 0, "score": round(float(score), 5)}
            self.object_row(image, int(label), row)

    def add_panoptic(self, prediction: PanopticPrediction, *, file_name: str, png: Path) -> None:
        """Write the segments of one image, and the PNG whose colours number them."""
        ids = prediction.segment_ids
        image = self.image(file_name, ids.shape)
        write_panoptic_png(png, ids)
        areas = np.bincount(ids.ravel(), minlength=len(prediction.labels) + 1)
        infos = [
            {
                "id": i + 1,
                "category_id": self.category(int(label)),
                "area": int(areas[i + 1]),
                "bbox": whole_box(ids == i + 1),
                "iscrowd": 0,
                "score": round(float(prediction.scores[i]), 5),
            }
            for i, label in enumerate(prediction.labels)
            if areas[i + 1]
        ]
        self.row({"image_id": image, "file_name": png.name, "segments_info": infos})


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
