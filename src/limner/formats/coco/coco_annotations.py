"""The annotations of COCO's instance files: told apart by image, and looked at one by one.

Shape legend: M annotations of a file.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.formats.coco.coco_annotation_list import Head
from limner.formats.coco.coco_json import CocoFile, CocoImage, Id, plain_id
from limner.formats.drawn import Box, Drawn, Shape
from limner.formats.problems import Problems, Report
from limner.formats.shapes.valid_shapes import box_of, is_number, sound


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
    ids = file.annotations.ids
    _say_repeated(ids["id"], file, problems)
    images = _places(ids["image_id"], list(file.images))
    categories = _places(ids["category_id"], list(file.categories))
    usable = (images >= 0) & (categories >= 0)
    for position in np.flatnonzero(~usable).tolist():
        _say_unknown(file, file.annotations.heads[position], position, problems)
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
    report = problems.at(f"{where} ({image.file_name})")
    box = _box(row, image, report)
    shapes = _shapes(row, image, box, report)
    name = f"annotation {row.get('id', 'without id')}"
    return Drawn(value, shapes, bool(row.get("iscrowd")), box=box, name=name) if shapes else None


def _box(row: dict[str, Any], image: CocoImage, report: Report) -> Box | None:
    """Return the stated box, cut at the border, or None where it cannot be used."""
    stated = row.get("bbox")
    if not stated:
        return None
    if not isinstance(stated, list) or len(stated) != 4 or not all(map(is_number, stated)):
        report("annotation-malformed", "`bbox` is not [left, top, width, height]")
        return None
    left, top, width, height = stated
    found = sound([Shape("box", [left, top, left + width, top + height])], _size(image), report)
    return box_of(found[0]) if found else None


def _shapes(row: dict[str, Any], image: CocoImage, box: Box | None, report: Report) -> tuple[Shape, ...]:
    shape = row.get("segmentation")
    if isinstance(shape, dict):
        return _runs(shape, *_size(image), report)
    if shape:
        return _polygons(shape, _size(image), report)
    if not row.get("bbox"):
        report("annotation-without-mask", "no mask")
    return () if box is None else (Shape("box", box),)


def _size(image: CocoImage) -> tuple[int, int]:
    assert image.height is not None, "sizes are filled in before annotations are read"
    assert image.width is not None
    return image.height, image.width


def _polygons(shape: object, size: tuple[int, int], report: Report) -> tuple[Shape, ...]:
    if not isinstance(shape, list):
        report("annotation-malformed", f"`segmentation` is a {type(shape).__name__}")
        return ()
    flat = shape if isinstance(shape[0], list) else [shape]
    listed = [polygon for polygon in flat if isinstance(polygon, list) and len(polygon) % 2 == 0]
    if len(listed) < len(flat):
        report("annotation-malformed", "a polygon that is not [x, y, x, y, ...]")
    return sound([Shape("polygon", polygon) for polygon in listed], size, report)


def _runs(shape: dict[str, Any], height: int, width: int, report: Report) -> tuple[Shape, ...]:
    counts, size = shape.get("counts"), shape.get("size")
    try:
        runs = read_runs(counts) if isinstance(counts, str) else [int(c) for c in counts or ()]
    except (TypeError, ValueError):
        report("rle-wrong-length", "run lengths that cannot be read")
        return ()
    total, wanted = sum(runs), height * width
    wrong_size = size is not None and [plain_id(s) for s in size] != [height, width]
    if total != wanted or min(runs, default=0) < 0 or wrong_size:
        found = f"{total} pixels" if not wrong_size else f"{total} pixels of size (height, width) {size}"
        report("rle-wrong-length", f"{found}, the image has {height} x {width} = {wanted}")
        return ()
    if not any(length for _, length in zip_longest(runs[::2], runs[1::2], fillvalue=0)):
        report("annotation-empty", "run lengths with no pixel inside")
        return ()
    return (Shape("runs", runs),)
