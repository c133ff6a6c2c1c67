"""Label Studio's JSON: brush strokes, polygons, ellipses and rectangles in percent, one task per image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar
from urllib.parse import ParseResult, parse_qs, unquote, urlparse

import numpy as np

from limner.formats.drawn import Drawn, Shape, corners, runs_of_mask
from limner.formats.file_tree import FileTree
from limner.formats.problems import Problems, Report
from limner.formats.shapes.listed_images import Drawing, Listed, ListedImages
from limner.formats.shapes.valid_shapes import stated_size, valid_shapes
from limner.formats.terms import Terms
from limner.formats.tools.cvat import rotate
from limner.storage.json_files import JsonObject, read_json, unreadable
from limner.storage.usable_numbers import numbers_in, points_in

WHAT = "The Label Studio annotations"
EXPECTED = "the export `JSON`: a list of tasks with `data` and `annotations`"
_KINDS = ("rectanglelabels", "polygonlabels", "brushlabels", "ellipselabels", "keypointlabels")
_BARE_KINDS = ("rectangle", "polygon", "brush", "ellipse", "keypoint")
"""Types in projects with the tags <Polygon> and <Labels>: the shape; a result of type `labels` names it."""
_NOT_DRAWN = ("choices", "textarea", "rating", "None")


@dataclass(frozen=True)
class _Task:
    """The regions of an image.

    Attributes:
        results: Those of the last annotator, since the others drew the same objects; or of a model.
        is_predicted: Whether they are of a model.
    """

    results: list[JsonObject]
    is_predicted: bool


class LabelStudio(ListedImages):
    """Objects drawn with Label Studio, from its export `JSON`; the images are found by name."""

    name = "label-studio"
    terms: ClassVar[Terms] = Terms(listing="JSON", entry="a task")
    title = "Label Studio's JSON (a list of tasks with annotations), with the images beside it"

    @classmethod
    def is_one(cls, both: bytes) -> bool:
        """Tell by the list of tasks."""
        tasks = any(key in both for key in (b'"annotations"', b'"completions"', b'"predictions"'))
        return both.lstrip()[:1] == b"[" and tasks and b'"data"' in both

    def listed(self, path: PurePosixPath, tree: FileTree) -> Iterator[Listed]:
        """Yield the image of each task; one without annotations is unlabelled.

        The predictions of a model are read only if the file has no annotation at all.

        Raises:
            DataError: It is no JSON, or no list of tasks.
        """
        tasks = _tasks(self.root / path)
        is_annotated = any(task.items("annotations") or task.items("completions") for task in tasks)
        read = _annotations if is_annotated else _predictions
        for position, task in enumerate(tasks):
            name, where = _image_name(task), f"{path}, task {task.text('id') or position}"
            sets = read(task)
            item = _Task(sets[-1].children("result") if sets else [], read is _predictions and bool(sets))
            yield Listed([name, _without_prefix(name)], where, item, is_labelled=bool(sets))

    def draw(self, listed: Listed, image: PurePosixPath, problems: Problems) -> Drawing:
        """Return the objects of a task, and the size of its image."""
        task: _Task = listed.item
        if task.is_predicted:
            problems.add("labels-are-predictions", listed.where, "predictions, no annotation")
        results = _with_labels(task.results)
        if len(images := {row.text("to_name") for row in results if row.text("type") in _KINDS}) > 1:
            found = f"regions on several images of one task: {', '.join(sorted(images))}"
            problems.add("annotation-malformed", listed.where, found, file=str(image))
            results = []
        size = next((s for result in results if (s := _size(result))), None)
        drawn = []
        for position, result in enumerate(results):
            name = f"result {result.text('id') or position}"
            report = problems.at(f"{listed.where}, {name} ({image.name})", file=str(image))
            if one := self._object(result, name, report):
                drawn.append(one)
        return drawn, size

    def _object(self, result: JsonObject, name: str, report: Report) -> Drawn | None:
        kind, value, size = result.text("type"), result.child("value"), _size(result)
        if kind not in _KINDS:
            if kind not in _NOT_DRAWN:
                report("shape-unknown", f"a result of type {kind!r}")
            return None
        names = _names(result, kind)
        if not names or size is None:
            report(
                "annotation-malformed", f"{kind} without a label or `original_width` and `original_height`"
            )
            return None
        if len(names) > 1:
            report("several-labels", f"a region with the labels {', '.join(names)}")
        shape = _brush(value, size, report) if kind == "brushlabels" else _shape(kind, value, size, report)
        if shape is None:
            return None
        shapes = (shape,) if shape.kind == "runs" else valid_shapes([shape], size, report)
        return Drawn(self.number_of(names[0]), shapes, name=name) if shapes else None


def _tasks(path: Path) -> list[JsonObject]:
    whole = JsonObject({"tasks": read_json(path, what=WHAT, expected=EXPECTED)})
    tasks = whole.children("tasks")
    if not whole.has_list("tasks") or not all("data" in task for task in tasks):
        raise unreadable(path, what=WHAT, found="no list of tasks with `data`", expected=EXPECTED)
    return tasks


def _image_name(task: JsonObject) -> str:
    """Return the image path: the first text in `data` that looks like one, or the value of ``?d=``."""
    data = task.child("data")
    addresses = [address for key in data.names if (address := _address(data.text(key)))]
    for address in sorted(addresses, key=lambda address: PurePosixPath(address.path).suffix == ""):
        local = parse_qs(address.query).get("d", [""])[0]
        return unquote(local or address.path).replace("\\", "/").lstrip("/")
    return ""


def _address(text: str) -> ParseResult | None:
    try:
        return urlparse(text) if text else None
    except ValueError:  # brackets that are no address of IPv6
        return None


def _without_prefix(name: str) -> str:
    """Return the name without the eight hexadecimal digits that an upload adds in front."""
    return PurePosixPath(name).name.partition("-")[2] or name


def _annotations(task: JsonObject) -> list[JsonObject]:
    """Return the annotations of a task that were not cancelled."""
    key = "annotations" if task.is_set("annotations") else "completions"
    return [
        JsonObject(one) for one in task.items(key) if isinstance(one, dict) and not one.get("was_cancelled")
    ]


def _predictions(task: JsonObject) -> list[JsonObject]:
    """Return the predictions of models; exports may have their numbers alone."""
    return [JsonObject(one) for one in task.items("predictions") if isinstance(one, dict) and "result" in one]


def _with_labels(results: list[JsonObject]) -> list[JsonObject]:
    """Join the two results of a shape that was drawn with one tag and labelled with another."""
    labels_of = {row.text("id"): _names(row, "labels") for row in results if row.text("type") == "labels"}
    joined = []
    for row in results:
        kind = row.text("type")
        if kind in _BARE_KINDS:
            labels = labels_of.get(row.text("id"), [])
            kind += "labels"
            row = row.with_values(type=kind, value=row.child("value").with_values(**{kind: labels}))
        if kind != "labels":
            joined.append(row)
    return joined


def _names(result: JsonObject, kind: str) -> list[str]:
    return result.child("value").texts(kind)


def _size(result: JsonObject) -> tuple[int, int] | None:
    return stated_size(result.number("original_height"), result.number("original_width"))


def _shape(kind: str, value: JsonObject, size: tuple[int, int], report: Report) -> Shape | None:
    height, width = size
    across, down = width / 100, height / 100
    degrees = value.number("rotation") if value.is_set("rotation") else 0
    if kind == "polygonlabels":
        points = points_in(value.value("points"))
        if points is None:
            report("annotation-malformed", "a polygon that is not [[x, y], ...]")
            return None
        return Shape("polygon", [_pixels(n, down if i % 2 else across) for i, n in enumerate(points)])
    keys = {
        "rectanglelabels": ("x", "y", "width", "height"),
        "ellipselabels": ("x", "y", "radiusX", "radiusY"),
    }
    numbers = numbers_in([value.value(key) for key in keys.get(kind, ("x", "y"))])
    if numbers is None or degrees is None:
        report("annotation-malformed", f"{kind} without its numbers")
        return None
    x, y, *sides = (_pixels(n, down if i % 2 else across) for i, n in enumerate(numbers))
    if kind == "keypointlabels":
        report("drawn-by-width", "a key point")
        return Shape("point", [x, y])
    if kind == "ellipselabels":
        shape = Shape("ellipse", [x, y, *sides])
    else:
        shape = Shape("box", [x, y, x + sides[0], y + sides[1]])
    # Rectangles turn about their first corner, ellipses about their centre.
    return Shape("polygon", rotate(corners(shape), degrees, (x, y))) if degrees % 360 else shape


def _pixels(percent: float, hundredth: float) -> float:
    """Return a length in pixels, rounded to a millionth, so that percentages give back whole pixels."""
    return round(percent * hundredth, 6)


def _brush(value: JsonObject, size: tuple[int, int], report: Report) -> Shape | None:
    height, width = size
    try:
        packed = bytes(int(number) for number in numbers_in(value.value("rle")) or ())
        number = int.from_bytes(packed[:4], "big")
        if number != 4 * height * width:  # before the memory for them is taken
            found = f"{number} values, the image has {height} x {width} in 4 channels"
            report("rle-wrong-length", found)
            return None
        pixels = unpack_brush(packed)
    except ValueError:
        report("rle-wrong-length", "a brush stroke that cannot be read")
        return None
    mask = pixels.reshape(height, width, 4)[..., 3] > 0
    if not mask.any():
        report("annotation-empty", "a brush stroke without a pixel")
        return None
    return Shape("runs", runs_of_mask(mask))


def unpack_brush(packed: Sequence[int] | bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Unpack Label Studio's brush: (N,) uint8 of red, green, blue and alpha of each pixel.

    A stream of bits: 32 for N, 5 for the bits of a value less 1, 4 times 4 for the bits of a length less 1.
    Then blocks: 1 bit whether one value is repeated, 2 bits which length, the length less 1, and the values.

    Raises:
        ValueError: The stream ends too early.
    """
    bits = np.unpackbits(np.frombuffer(bytes(packed), np.uint8))
    place = 0

    def read(count: int) -> int:
        nonlocal place
        if place + count > bits.size:
            raise ValueError("the stream ends too early")
        taken = bits[place : place + count]
        place += count
        return int("".join(map(str, taken.tolist())), 2)

    number, word = read(32), read(5) + 1
    if number > 1 << 31 or word > 8:
        raise ValueError("no brush")
    lengths = [read(4) + 1 for _ in range(4)]
    values = np.zeros(number, np.uint8)
    done = 0
    while done < number:
        is_run = read(1)
        length = 1 + read(lengths[read(2)])
        values[done : done + length] = read(word) if is_run else [read(word) for _ in range(length)]
        done += length
    return values
