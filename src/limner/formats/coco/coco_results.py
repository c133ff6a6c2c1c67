"""Predictions in COCO's JSON, as any program may have written them.

Three shapes are known: the results list of detections (``image_id``, ``category_id``, ``segmentation``,
``score``); the same rows as ``annotations`` beside ``images`` and ``categories``; and panoptic
``annotations`` with ``segments_info`` and a PNG each.
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
from limner.formats.coco.coco_annotations import read_runs
from limner.formats.coco.coco_json import Id, plain_id
from limner.formats.coco.coco_panoptic import COLOR, VOID, segment_numbers
from limner.formats.drawn import Drawn, Shape, runs_to_mask
from limner.images.masks import read_values

Kind = Literal["instance", "panoptic"]

SHAPES = "COCO's results (a list), or JSON with `annotations`, and for panoptic segments their PNGs beside"


@dataclass(frozen=True)
class CocoResults:
    """The predictions of one file, compact: a dataset may have a hundred objects an image.

    Attributes:
        path: The JSON file.
        kind: What they are.
        file_names: Image id -> file name; empty where the file does not list its images.
        categories: Category id -> name; empty where it does not list them.
        packed: Image id -> rows, to be read with `objects` or `segments`.
    """

    path: Path
    kind: Kind
    file_names: dict[Id, str]
    categories: dict[Id, str]
    packed: dict[Id, bytes] = field(repr=False)

    def objects(self, image: Id, shape: tuple[int, ...]) -> tuple[list[Mask], list[Id], list[float]]:
        """Return masks, category ids and scores of one image; none where the file has nothing of it.

        Raises:
            DataError: A mask is of another size, or is none.
        """
        rows = json.loads(zlib.decompress(self.packed[image])) if image in self.packed else []
        masks = [self._mask(drawn, shape, image) for _, _, drawn in rows]
        return masks, [category for category, _, _ in rows], [score for _, score, _ in rows]

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
        """Return the PNG of an annotation: in the folder of the JSON's name, as COCO has it, or near it."""
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

    def _mask(self, drawn: Any, shape: tuple[int, ...], image: Id) -> Mask:  # noqa: ANN401 - JSON
        height, width = shape
        try:
            if isinstance(drawn, dict):
                counts = drawn["counts"]
                runs = read_runs(counts) if isinstance(counts, str) else [int(n) for n in counts]
                if sum(runs) != height * width or min(runs, default=0) < 0:
                    raise ValueError(f"run lengths of {sum(runs)} pixels, size {drawn.get('size')}")
                return runs_to_mask(runs, height, width)
            polygons = drawn if isinstance(drawn[0], list) else [drawn]
            return Drawn(0, tuple(Shape("polygon", polygon) for polygon in polygons)).mask(height, width)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise DataError(
                describe(
                    "A predicted mask does not fit its image",
                    where=f"{self.path}, image {image}",
                    found=str(error),
                    expected=f"polygons, or run lengths of height x width = {height} x {width}",
                    fix="Scale predictions back to the image before saving them.",
                )
            ) from None


def read_results(path: Path) -> CocoResults:
    """Read a file of predictions.

    Raises:
        DataError: It is no JSON, or in none of the shapes.
    """
    try:
        whole = json.loads(path.read_bytes())
    except (OSError, UnicodeDecodeError, RecursionError, json.JSONDecodeError) as error:
        raise _refusal(path, str(error)) from None
    rows = whole.get("annotations") if isinstance(whole, dict) else whole
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _refusal(path, "no list of annotations")
    kind: Kind = "panoptic" if any("segments_info" in row for row in rows) else "instance"
    lists = whole if isinstance(whole, dict) else {}
    names = {
        number: str(row.get("file_name", "")).replace("\\", "/")
        for row in lists.get("images", ())
        if (number := plain_id(row.get("id"))) is not None
    }
    categories = {
        number: str(row.get("name", ""))
        for row in lists.get("categories", ())
        if (number := plain_id(row.get("id"))) is not None
    }
    pack = _pack_segments if kind == "panoptic" else _pack_objects
    return CocoResults(path, kind, names, categories, pack(path, rows))


def _pack_objects(path: Path, rows: list[dict[str, Any]]) -> dict[Id, bytes]:
    by_image: dict[Id, list[tuple[Id, float, Any]]] = defaultdict(list)
    for place, row in enumerate(rows):
        image, category, drawn = (
            plain_id(row.get("image_id")),
            plain_id(row.get("category_id")),
            row.get("segmentation"),
        )
        score = row.get("score")
        if image is None or category is None or not isinstance(score, int | float):
            raise _refusal(path, f"row {place} without image_id, category_id or score: {str(row)[:80]}")
        if not drawn:
            raise _refusal(path, f"row {place} without a mask" + (", a box only" if row.get("bbox") else ""))
        by_image[image].append((category, float(score), drawn))
    return {image: _packed(some) for image, some in by_image.items()}


def _pack_segments(path: Path, rows: list[dict[str, Any]]) -> dict[Id, bytes]:
    packed = {}
    for place, row in enumerate(rows):
        image, infos = plain_id(row.get("image_id")), row.get("segments_info")
        if image is None or not isinstance(infos, list):
            raise _refusal(path, f"row {place} without image_id or segments_info: {str(row)[:80]}")
        segments = [(plain_id(info.get("id")), plain_id(info.get("category_id"))) for info in infos]
        if any(number is None or category is None for number, category in segments):
            raise _refusal(path, f"row {place}: a segment without id or category_id")
        name = str(row.get("file_name") or f"{image}.png")
        packed[image] = _packed([PurePosixPath(name).name, segments])
    return packed


def _packed(rows: Any) -> bytes:  # noqa: ANN401 - what JSON holds
    return zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 1)


def _refusal(path: Path, found: str) -> DataError:
    return DataError(describe("The predictions cannot be read", where=path, found=found, expected=SHAPES))
