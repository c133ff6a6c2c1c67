"""The annotations of COCO's instance files: told apart by image, looked at one by one, drawn as masks.

Shape legend: H, W image size, M annotations of a file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.segments import Mask
from limner.formats.coco_annotation_list import Head
from limner.formats.coco_json import CocoFile, CocoImage, Id, plain_id
from limner.formats.problems import Problems

FEWEST_NUMBERS = 6
"""Of a polygon: three points."""

BORDER = 1.0
"""Pixels that a polygon may stick out without a word: drawing tools round."""


@dataclass(frozen=True)
class Drawn:
    """One annotation that can be drawn.

    Attributes:
        value: The mask value of its category.
        is_crowd: A region of many objects that nobody told apart.
        shape: Polygons [x, y, x, y, ...] in pixels, or the lengths of runs down the columns.
    """

    value: int
    is_crowd: bool
    shape: list[list[float]] | list[int]

    def mask(self, height: int, width: int) -> Mask:
        """Return (H, W), filled as COCO's own tools fill it."""
        if self.shape and isinstance(self.shape[0], list):
            # A dependency with a compiled part, so it is loaded when a polygon is drawn.
            from pycocotools import mask as coco_mask

            runs = coco_mask.merge(coco_mask.frPyObjects(self.shape, height, width))
            return np.asarray(np.array(coco_mask.decode(runs)) != 0)
        return runs_to_mask([int(run) for run in self.shape if not isinstance(run, list)], height, width)


def runs_to_mask(runs: Sequence[int], height: int, width: int) -> Mask:
    """Return (H, W) of run lengths, which go down the columns and begin with pixels outside."""
    inside = np.arange(len(runs)) % 2 == 1
    return np.asarray(np.repeat(inside, runs).reshape(width, height).T)


def read_runs(counts: str) -> list[int]:
    """Read COCO's compressed run lengths: 6 bits a character, the low 5 first, differences from the 3rd on.

    Raises:
        ValueError: The text ends inside a number, or holds another character.
    """
    runs: list[int] = []
    place = 0
    while place < len(counts):
        value, shift, more = 0, 0, True
        while more:
            if place >= len(counts) or not 0 <= ord(counts[place]) - 48 < 64:
                raise ValueError("no run-length text")
            bits = ord(counts[place]) - 48
            value |= (bits & 0x1F) << shift
            more = bool(bits & 0x20)
            shift += 5
            place += 1
            if not more and bits & 0x10:
                value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs


def places_of_images(file: CocoFile, problems: Problems) -> npt.NDArray[np.int64]:
    """Return (M,) the place of each annotation's image in ``file.images``, or -1 where it cannot be used.

    Shapes are not looked at: `drawn_of` does that when the image is read.
    """
    heads = file.annotations.heads
    _say_repeated([head.id for head in heads], file, problems)
    images = _places([head.image_id for head in heads], list(file.images))
    categories = _places([head.category_id for head in heads], list(file.categories))
    usable = (images >= 0) & (categories >= 0)
    for position in np.flatnonzero(~usable).tolist():
        _say_unknown(file, heads[position], position, problems)
    if heads and not any(head.has_mask for head in heads):
        problems.add("no-masks", str(file.path), f"{len(heads)} annotations with boxes, and no mask at all")
    return np.where(usable, images, -1)


def _places(ids: Sequence[object], known: Sequence[Id]) -> npt.NDArray[np.int64]:
    """Return (M,) the place of each id among the known ones, or -1; a million numbers take half a second."""
    if not known or {*map(type, ids), *map(type, known)} - {int}:
        place_of: dict[object, int] = {number: place for place, number in enumerate(known)}
        return np.array([place_of.get(plain_id(value), -1) for value in ids], np.int64)
    table = np.array(known)
    order = np.argsort(table)
    wanted = np.array(ids)
    found = order[np.searchsorted(table, wanted, sorter=order).clip(max=len(table) - 1)]
    return np.where(table[found] == wanted, found, -1)


def _say_repeated(ids: Sequence[object], file: CocoFile, problems: Problems) -> None:
    if {*map(type, ids)} <= {int} and len(set(ids)) == len(ids):
        return
    seen: set[Id] = set()
    for number in map(plain_id, ids):
        if number in seen:
            problems.add("annotation-listed-twice", _where(file, number), "the id stands twice")
        elif number is not None:
            seen.add(number)


def _where(file: CocoFile, number: Id) -> str:
    return f"{file.path}, annotation {number}"


def _say_unknown(file: CocoFile, head: Head, position: int, problems: Problems) -> None:
    number, image, category = plain_id(head.id), plain_id(head.image_id), plain_id(head.category_id)
    where = _where(file, position if number is None else number)
    if image is None:
        problems.add("annotation-malformed", where, "no usable `image_id`")
    elif image not in file.images:
        problems.add("annotation-image-unknown", where, f"image id {image}")
    if category is None:
        problems.add("annotation-malformed", where, "no usable `category_id`")
    elif category not in file.categories:
        problems.add("category-unknown", where, f"category id {category}, which nobody defined")


def drawn_of(
    row: dict[str, Any], value: int, image: CocoImage, where: str, problems: Problems
) -> Drawn | None:
    """Return what an annotation draws, or None where it draws nothing; why goes into `problems`.

    Args:
        row: As it is in the file.
        value: The mask value of its category.
        image: The image it belongs to, its size known.
        where: Names file and annotation.
        problems: Takes what is wrong with it.
    """
    shape = _shape_of(row, image, where, problems)
    return None if shape is None else Drawn(value, bool(row.get("iscrowd")), shape)


def _shape_of(
    row: dict[str, Any], image: CocoImage, where: str, problems: Problems
) -> list[list[float]] | list[int] | None:
    shape = row.get("segmentation")
    where = f"{where} ({image.file_name})"
    if not shape:
        problems.add("annotation-without-mask", where, "a box only" if row.get("bbox") else "no mask")
        return None
    assert image.height is not None and image.width is not None, "sizes are filled in before"
    if isinstance(shape, dict):
        return _runs(shape, image.height, image.width, where, problems)
    polygons = _polygons(shape, where, problems)
    if not polygons:
        return None
    return _inside(polygons, image.height, image.width, where, problems)


def _polygons(shape: object, where: str, problems: Problems) -> list[list[float]]:
    if not isinstance(shape, list):
        problems.add("annotation-malformed", where, f"`segmentation` is a {type(shape).__name__}")
        return []
    flat = shape if isinstance(shape[0], list) else [shape]
    polygons: list[list[float]] = []
    for polygon in flat:
        if not isinstance(polygon, list) or len(polygon) % 2 or not all(map(_is_number, polygon)):
            problems.add("annotation-malformed", where, "a polygon that is not [x, y, x, y, ...]")
        elif len(polygon) < FEWEST_NUMBERS:
            problems.add("polygon-too-short", where, f"a polygon of {len(polygon) // 2} points")
        else:
            polygons.append(polygon)
    return polygons


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)


def _inside(
    polygons: list[list[float]], height: int, width: int, where: str, problems: Problems
) -> list[list[float]] | None:
    points = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in polygons])
    low, high = points.min(0), points.max(0)
    if (low < -BORDER).any() or (high > (width + BORDER, height + BORDER)).any():
        found = f"x from {low[0]:g} to {high[0]:g}, y from {low[1]:g} to {high[1]:g} in {width} x {height}"
        problems.add("polygon-outside-image", where, found)
        polygons = [np.clip(np.reshape(p, (-1, 2)), 0, (width, height)).ravel().tolist() for p in polygons]
    if sum(map(_area, polygons)) <= 0:
        problems.add("annotation-empty", where, "polygons of area 0 inside the image")
        return None
    return polygons


def _area(polygon: list[float]) -> float:
    x, y = np.reshape(polygon, (-1, 2)).T
    return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2)


def _runs(shape: dict[str, Any], height: int, width: int, where: str, problems: Problems) -> list[int] | None:
    counts, size = shape.get("counts"), shape.get("size")
    try:
        runs = read_runs(counts) if isinstance(counts, str) else [int(c) for c in counts or ()]
    except (TypeError, ValueError):
        problems.add("rle-wrong-length", where, "run lengths that cannot be read")
        return None
    total, wanted = sum(runs), height * width
    wrong_size = size is not None and [plain_id(s) for s in size] != [height, width]
    if total != wanted or min(runs, default=0) < 0 or wrong_size:
        found = f"{total} pixels" if not wrong_size else f"{total} pixels of size (height, width) {size}"
        problems.add("rle-wrong-length", where, f"{found}, the image has {height} x {width} = {wanted}")
        return None
    if not any(length for _, length in zip_longest(runs[::2], runs[1::2], fillvalue=0)):
        problems.add("annotation-empty", where, "run lengths with no pixel inside")
        return None
    return runs
