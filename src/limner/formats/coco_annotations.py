"""The annotations of COCO's instance files, looked at one by one."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from limner.formats.coco_json import CocoFile, CocoImage, Id, plain_id
from limner.formats.drawn import Box, Drawn, Shape
from limner.formats.problems import Problems, Report
from limner.formats.sound_shapes import box_of, is_number, sound


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


def drawable(file: CocoFile, problems: Problems) -> Iterator[tuple[Id, Drawn]]:
    """Yield image id and annotation of everything that can be drawn; what cannot goes into `problems`."""
    seen: set[Id] = set()
    for position, row in enumerate(file.annotations):
        number = plain_id(row.get("id"))
        name = position if number is None else number
        where = f"{file.path}, annotation {name}"
        if number is not None and number in seen:
            problems.add("annotation-listed-twice", where, "the id stands twice")
        seen.add(name)
        image = _image_of(row, file, where, problems)
        value = _value_of(row, file, where, problems)
        if image is None or value is None:
            continue
        report = problems.at(f"{where} ({image.file_name})")
        box = _box(row, image, report)
        shapes = _shapes(row, image, box, report)
        if shapes:
            yield image.id, Drawn(value, shapes, bool(row.get("iscrowd")), box=box, name=f"annotation {name}")


def _image_of(row: dict[str, Any], file: CocoFile, where: str, problems: Problems) -> CocoImage | None:
    number = plain_id(row.get("image_id"))
    if number is None:
        problems.add("annotation-malformed", where, "no usable `image_id`")
    elif number not in file.images:
        problems.add("annotation-image-unknown", where, f"image id {number}")
    return None if number is None else file.images.get(number)


def _value_of(row: dict[str, Any], file: CocoFile, where: str, problems: Problems) -> int | None:
    number = plain_id(row.get("category_id"))
    if number is None:
        problems.add("annotation-malformed", where, "no usable `category_id`")
    elif number not in file.categories:
        problems.add("category-unknown", where, f"category id {number}, which nobody defined")
    known = None if number is None else file.categories.get(number)
    return None if known is None else known.values[0]


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
