"""Predictions in COCO's JSON, written by any program.

Three shapes are known: the results list of detections (``image_id``, ``category_id``, ``score``, and
``segmentation`` or only ``bbox``); the same rows as ``annotations`` beside ``images`` and ``categories``; and
panoptic ``annotations`` with ``segments_info`` and a PNG each.
"""

import json
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from limner.core.errors import DataError, describe
from limner.core.segments import Mask
from limner.formats.coco.coco_annotations import runs_of
from limner.formats.coco.coco_json import Id, plain_id
from limner.formats.coco.coco_panoptic import COLOR, VOID, segment_numbers
from limner.formats.drawn import Drawn, Shape, runs_to_mask
from limner.images.masks import read_values
from limner.storage.json_files import JsonObject, as_shown, parse_json
from limner.storage.usable_numbers import numbers_in

Kind = Literal["instance", "panoptic", "detection"]

SHAPES = "COCO's results (a list), or JSON with `annotations`, and for panoptic segments their PNGs beside"


@dataclass(frozen=True)
class CocoResults:
    """The predictions of one file, packed, since an image may have a hundred objects.

    Attributes:
        path: The JSON file.
        kind: Instances, panoptic segments, or boxes without masks.
        file_names: Image id -> file name; empty if the file lists no images.
        categories: Category id -> name; empty if the file lists none.
        packed: Image id -> rows, to be read with `objects`, `boxes` or `segments`.
    """

    path: Path
    kind: Kind
    file_names: dict[Id, str]
    categories: dict[Id, str]
    packed: dict[Id, bytes] = field(repr=False)

    def objects(self, image: Id, shape: tuple[int, ...]) -> tuple[list[Mask], list[Id], list[float]]:
        """Return masks, category ids and scores of one image; empty if the file has none.

        Raises:
            DataError: A mask is of another size, or is none.
        """
        rows = self._rows(image)
        masks = [self._mask(drawn, shape, image) for _, _, drawn in rows]
        return masks, [category for category, _, _ in rows], [score for _, score, _ in rows]

    def boxes(self, image: Id) -> tuple[list[list[float]], list[Id], list[float]]:
        """Return left, top, right, bottom of boxes, category ids and scores of one image; maybe none."""
        rows = self._rows(image)
        boxes = [[left, top, left + width, top + height] for _, _, (left, top, width, height) in rows]
        return boxes, [category for category, _, _ in rows], [score for _, score, _ in rows]

    def _rows(self, image: Id) -> list[Any]:
        return json.loads(zlib.decompress(self.packed[image])) if image in self.packed else []

    def segments(self, image: Id) -> tuple[npt.NDArray[np.int64], list[Id]]:
        """Return (H, W) segment numbers, 0 for none and i + 1 for segment i, and the segments' category ids.

        Raises:
            DataError: There is no PNG, or it holds a colour that the JSON does not list.
        """
        name, rows = json.loads(zlib.decompress(self.packed[image]))
        path = self._png(name)
        numbers = segment_numbers(read_values(path, COLOR))
        found, places = np.unique(numbers, return_inverse=True)
        order = {VOID: 0} | {number: place for place, (number, _) in enumerate(rows, start=1)}
        unknown = [int(n) for n in found if int(n) not in order]
        if unknown:
            raise DataError(
                describe(
                    "A predicted PNG holds colours that its JSON does not list",
                    where=path,
                    found=f"segment {unknown[0]}" + (f" and {len(unknown) - 1} more" if unknown[1:] else ""),
                    expected=f"only the segments_info of image {image} in {self.path}",
                    fix="Write PNG and JSON together.",
                )
            )
        table = np.array([order[int(n)] for n in found], np.int64)
        return table[places].reshape(numbers.shape), [category for _, category in rows]

    def _png(self, name: str) -> Path:
        """Return the PNG of an annotation: in the folder named after the JSON, as in COCO, or near it."""
        folders = (self.path.with_suffix(""), self.path.parent / "panoptic", self.path.parent)
        for folder in folders:
            if (folder / name).is_file():
                return folder / name
        raise DataError(
            describe(
                "The PNG of predicted segments is missing",
                where=self.path,
                found=f"no {name}",
                expected=f"it in {folders[0]}",
                fix="Put the PNGs into a folder of the JSON's name.",
            )
        )

    def _mask(self, drawn: object, shape: tuple[int, ...], image: Id) -> Mask:
        height, width = shape
        try:
            if isinstance(drawn, dict):
                runs = runs_of(JsonObject(drawn))
                if sum(runs) != height * width:
                    raise ValueError(f"run lengths of {sum(runs)} pixels, size {as_shown(drawn.get('size'))}")
                return runs_to_mask(runs, height, width)
            return Drawn(0, tuple(Shape("polygon", polygon) for polygon in _polygons(drawn))).mask(
                height, width
            )
        except ValueError as error:
            raise DataError(
                describe(
                    "A predicted mask does not fit its image",
                    where=f"{self.path}, image {image}",
                    found=str(error),
                    expected=f"polygons, or run lengths of height x width = {height} x {width}",
                    fix="Scale predictions back to the image before saving them.",
                )
            ) from None


def _polygons(drawn: object) -> list[list[float]]:
    """Return the outlines of a mask.

    Raises:
        ValueError: One is not x, y, x, y, ... of three points or more.
    """
    listed = drawn if isinstance(drawn, list) and isinstance(drawn[0], list) else [drawn]
    polygons = [numbers for one in listed if (numbers := numbers_in(one))]
    if len(polygons) < len(listed) or any(len(one) < 6 or len(one) % 2 for one in polygons):
        raise ValueError("a polygon that is not [x, y, x, y, ...] of 3 points or more")
    return polygons


def read_results(path: Path) -> CocoResults:
    """Read a file of predictions.

    Raises:
        DataError: It is no JSON, or in none of the shapes.
    """
    try:
        whole = parse_json(path.read_bytes(), path)
    except (OSError, ValueError) as error:
        raise _refusal(path, str(error)) from None
    lists = JsonObject({"annotations": whole} if isinstance(whole, list) else whole)
    rows = lists.children("annotations")
    if not lists.has_list("annotations") or not all(isinstance(r, dict) for r in lists.items("annotations")):
        raise _refusal(path, "no list of annotations")
    kind = _kind_of(rows)
    names = {
        number: row.text("file_name").replace("\\", "/")
        for row in lists.children("images")
        if (number := plain_id(row.value("id"))) is not None
    }
    categories = {
        number: row.text("name")
        for row in lists.children("categories")
        if (number := plain_id(row.value("id"))) is not None
    }
    packers = {"panoptic": _pack_segments, "instance": _pack_objects, "detection": _pack_boxes}
    return CocoResults(path, kind, names, categories, packers[kind](path, rows))


def _kind_of(rows: list[JsonObject]) -> Kind:
    """Return what the rows are: boxes if none has a mask and one has a box."""
    if any("segments_info" in row for row in rows):
        return "panoptic"
    has_masks = any(row.value("segmentation") for row in rows)
    return "detection" if not has_masks and any(row.is_set("bbox") for row in rows) else "instance"


def _pack_boxes(path: Path, rows: list[JsonObject]) -> dict[Id, bytes]:
    by_image: dict[Id, list[tuple[Id, float, object]]] = defaultdict(list)
    for place, row in enumerate(rows):
        image, category, score = _said(path, row, place)
        box = numbers_in(row.value("bbox"))
        if not box or len(box) != 4:
            raise _refusal(path, f"row {place} without a bbox of left, top, width and height: {row}")
        by_image[image].append((category, score, box))
    return {image: _packed(some) for image, some in by_image.items()}


def _said(path: Path, row: JsonObject, place: int) -> tuple[Id, Id, float]:
    """Return image id, category id and score of a row."""
    image, category = plain_id(row.value("image_id")), plain_id(row.value("category_id"))
    score = row.number("score")
    if image is None or category is None or score is None:
        raise _refusal(path, f"row {place} without image_id, category_id or score: {row}")
    return image, category, float(score)


def _pack_objects(path: Path, rows: list[JsonObject]) -> dict[Id, bytes]:
    by_image: dict[Id, list[tuple[Id, float, object]]] = defaultdict(list)
    for place, row in enumerate(rows):
        image, category, score = _said(path, row, place)
        drawn = row.value("segmentation")
        if not isinstance(drawn, dict | list) or not drawn:
            raise _refusal(
                path, f"row {place} without a mask" + (", a box only" if row.is_set("bbox") else "")
            )
        by_image[image].append((category, score, drawn))
    return {image: _packed(some) for image, some in by_image.items()}


def _pack_segments(path: Path, rows: list[JsonObject]) -> dict[Id, bytes]:
    packed = {}
    for place, row in enumerate(rows):
        image = plain_id(row.value("image_id"))
        if image is None or not row.has_list("segments_info"):
            raise _refusal(path, f"row {place} without image_id or segments_info: {row}")
        infos = row.children("segments_info")
        segments = [(plain_id(info.value("id")), plain_id(info.value("category_id"))) for info in infos]
        if any(number is None or category is None for number, category in segments):
            raise _refusal(path, f"row {place}: a segment without id or category_id")
        name = row.text("file_name") or f"{image}.png"
        packed[image] = _packed([PurePosixPath(name).name, segments])
    return packed


def _packed(rows: object) -> bytes:
    return zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 1)


def _refusal(path: Path, found: str) -> DataError:
    return DataError(describe("The predictions cannot be read", where=path, found=found, expected=SHAPES))
