"""The annotations of COCO's instance files: assigned to images, and checked one by one.

Shape legend: M annotations of a file.
"""

from collections.abc import Sequence
from itertools import zip_longest
from math import cos, radians, sin

import numpy as np
import numpy.typing as npt

from limner.formats.coco.coco_annotation_list import Head
from limner.formats.coco.coco_json import CocoFile, CocoImage, Id, plain_id
from limner.formats.drawn import Box, Drawn, Shape
from limner.formats.problems import Problems, Report
from limner.formats.shapes.valid_shapes import box_of, valid_shapes
from limner.storage.json_files import JsonObject, as_shown
from limner.storage.usable_numbers import numbers_in

MAX_SHIFT = 60
"""Bits of a run length: longer ones belong to no image, and take ever longer to read."""


def read_runs(counts: str) -> list[int]:
    """Read COCO's compressed run lengths: 6 bits per character, low 5 first, differences from the 3rd on.

    Raises:
        ValueError: The text ends inside a number, or holds another character.
    """
    runs: list[int] = []
    place = 0
    while place < len(counts):
        value, shift, more = 0, 0, True
        while more:
            if place >= len(counts) or not 0 <= ord(counts[place]) - 48 < 64 or shift > MAX_SHIFT:
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


def runs_of(shape: JsonObject) -> list[int]:
    """Return the run lengths of a mask from compressed or plain `counts`.

    Raises:
        ValueError: They are neither text nor a list of numbers, or one is negative.
    """
    counts = shape.value("counts")
    if isinstance(counts, str):
        runs = read_runs(counts)
    elif (numbers := numbers_in(counts or [])) is not None:
        runs = [int(number) for number in numbers]
    else:
        raise ValueError(f"run lengths that are {as_shown(counts)}")
    if min(runs, default=0) < 0:
        raise ValueError("a negative run length")
    return runs


def places_of_images(file: CocoFile, problems: Problems) -> npt.NDArray[np.int64]:
    """Return (M,) the place of each annotation's image in ``file.images``, or -1 where it cannot be used.

    Shapes are checked by `drawn_of`, when the image is read.
    """
    ids = file.annotations.ids
    _report_repeated(ids["id"], file, problems)
    images = _positions(ids["image_id"], list(file.images))
    categories = _positions(ids["category_id"], list(file.categories))
    usable = (images >= 0) & (categories >= 0)
    for position in np.flatnonzero(~usable).tolist():
        _report_unknown(file, file.annotations.heads[position], position, problems)
    return np.where(usable, images, -1)


def _positions(ids: Sequence[object], known: Sequence[Id]) -> npt.NDArray[np.int64]:
    """Return (M,) the place of each id among the known ones, or -1; a million numbers take half a second."""
    if not known or {*map(type, ids), *map(type, known)} - {int}:
        place_of: dict[object, int] = {number: place for place, number in enumerate(known)}
        return np.array([place_of.get(plain_id(value), -1) for value in ids], np.int64)
    table = np.array(known)
    order = np.argsort(table)
    wanted = np.array(ids)
    found = order[np.searchsorted(table, wanted, sorter=order).clip(max=len(table) - 1)]
    return np.where(table[found] == wanted, found, -1)


def _report_repeated(ids: Sequence[object], file: CocoFile, problems: Problems) -> None:
    if {*map(type, ids)} <= {int} and len(set(ids)) == len(ids):
        return
    seen: set[Id] = set()
    for number in map(plain_id, ids):
        if number in seen:
            problems.add("annotation-listed-twice", _where(file, number), "duplicate id")
        elif number is not None:
            seen.add(number)


def _where(file: CocoFile, number: Id) -> str:
    return f"{file.path}, annotation {number}"


def _report_unknown(file: CocoFile, head: Head, position: int, problems: Problems) -> None:
    number, image, category = plain_id(head.id), plain_id(head.image_id), plain_id(head.category_id)
    where = _where(file, position if number is None else number)
    if image is None:
        problems.add("annotation-malformed", where, "no usable `image_id`")
    elif image not in file.images:
        problems.add("annotation-image-unknown", where, f"image id {image}")
    if category is None:
        problems.add("annotation-malformed", where, "no usable `category_id`")
    elif category not in file.categories:
        problems.add("category-unknown", where, f"category id {category}, which `categories` does not list")


def drawn_of(row: JsonObject, value: int, image: CocoImage, where: str, problems: Problems) -> Drawn | None:
    """Return the object of an annotation; None, with a finding, if it has no valid shape.

    Args:
        row: The annotation in the file.
        value: The mask value of its category.
        image: The image it belongs to, its size known.
        where: Names file and annotation.
        problems: Takes the findings.
    """
    report = problems.at(f"{where} ({image.file_name})")
    box = _box(row, image, report)
    shapes = _shapes(row, image, box, report)
    name = f"annotation {row.text('id') or 'without id'}"
    return Drawn(value, shapes, row.is_set("iscrowd"), box=box, name=name) if shapes else None


def _box(row: JsonObject, image: CocoImage, report: Report) -> Box | None:
    """Return the stated box, clipped at the border, or None if it cannot be used."""
    if not row.is_set("bbox"):
        return None
    stated = numbers_in(row.value("bbox"))
    if stated is None or len(stated) != 4:
        report("annotation-malformed", "`bbox` is not [left, top, width, height]")
        return None
    left, top, width, height = _upright(stated, row, report)
    found = valid_shapes([Shape("box", [left, top, left + width, top + height])], _size(image), report)
    return box_of(found[0]) if found else None


def _upright(stated: list[float], row: JsonObject, report: Report) -> list[float]:
    """Return left, top, width and height around a box that CVAT rotated, or else as they are stated."""
    said = row.child("attributes")
    degrees = (said.number("rotation") or 0) if "occluded" in said else 0
    if degrees % 180 == 0 or not _is_empty(row.value("segmentation") or []):
        return stated
    report("box-rotated", f"a box rotated by {degrees:g} degrees")
    left, top, width, height = stated
    c, s = abs(cos(radians(degrees))), abs(sin(radians(degrees)))
    across, down = width * c + height * s, width * s + height * c
    return [left + (width - across) / 2, top + (height - down) / 2, across, down]


def _is_empty(shape: object) -> bool:
    """Tell whether a list of polygons has none, as ``[[]]``, which tools write for boxes."""
    return shape == {} or (isinstance(shape, list) and all(part == [] for part in shape))


def _shapes(row: JsonObject, image: CocoImage, box: Box | None, report: Report) -> tuple[Shape, ...]:
    shape = row.value("segmentation")
    if isinstance(shape, dict) and shape:
        return _runs(JsonObject(shape), *_size(image), report)
    if shape and not _is_empty(shape):
        return _polygons(shape, _size(image), report)
    if not row.is_set("bbox"):
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
    polygons = shape if isinstance(shape[0], list) else [shape]
    listed = [numbers for polygon in polygons if (numbers := numbers_in(polygon)) and not len(numbers) % 2]
    if len(listed) < len(polygons):
        report("annotation-malformed", "a polygon that is not [x, y, x, y, ...]")
    return valid_shapes([Shape("polygon", polygon) for polygon in listed], size, report)


def _runs(shape: JsonObject, height: int, width: int, report: Report) -> tuple[Shape, ...]:
    try:
        runs = runs_of(shape)
    except ValueError:
        report("rle-wrong-length", "run lengths that cannot be read")
        return ()
    total, wanted = sum(runs), height * width
    wrong_size = shape.value("size") is not None and [*map(plain_id, shape.items("size"))] != [height, width]
    if total != wanted or wrong_size:
        found = f"`size` is {as_shown(shape.value('size'))}" if wrong_size else f"runs of {total} pixels"
        report("rle-wrong-length", f"{found}; the image has [{height}, {width}], {wanted} pixels")
        return ()
    if not any(length for _, length in zip_longest(runs[::2], runs[1::2], fillvalue=0)):
        report("annotation-empty", "run lengths with no pixel inside")
        return ()
    return (Shape("runs", runs),)
