"""CVAT's XML (version 1.1) of images or a video: polygons, boxes, polylines, points, ellipses and masks."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from math import cos, radians, sin
from pathlib import PurePosixPath
from typing import ClassVar

import numpy as np

from limner.formats.drawn import Drawn, Shape, corners
from limner.formats.file_tree import FileTree
from limner.formats.problems import Problems, Report
from limner.formats.shapes.listed_images import Drawing, Listed, ListedImages
from limner.formats.shapes.placed_masks import placed
from limner.formats.shapes.valid_shapes import MAX_PIXELS, stated_size, valid_shapes
from limner.formats.terms import Terms
from limner.storage.usable_numbers import number_of
from limner.storage.xml_files import number_in, read_xml, text_in

_FRAME = re.compile(r"frame_(\d{1,9})", re.IGNORECASE)
_SHAPES = ("polygon", "box", "polyline", "points", "ellipse", "mask", "cuboid", "skeleton")


class Cvat(ListedImages):
    """Objects drawn with CVAT; shapes with the same group and label are one object."""

    name = "cvat"
    terms: ClassVar[Terms] = Terms(listing="XML", entry="an <image> in the XML")
    title = (
        "CVAT's XML (`CVAT for images 1.1`, or `for video` with frame_000000.PNG), with the images beside it"
    )
    suffixes: ClassVar[tuple[str, ...]] = (".xml",)

    @classmethod
    def is_one(cls, both: bytes) -> bool:
        """Tell CVAT's XML from VOC's, which has another root."""
        return b"<annotations>" in both and (b"<image" in both or b"<track " in both)

    def listed(self, path: PurePosixPath, tree: FileTree) -> Iterator[Listed]:
        """Yield the images, or the frames of a video.

        Raises:
            DataError: It is no XML, or another kind of XML.
        """
        whole = read_xml(self.root / path, root="annotations", what="The CVAT annotations")
        for item in (*whole.iterfind("image"), *_frames(whole, tree.images)):
            number = item.get("id")
            yield Listed(
                [item.get("name", "")],
                f"{path}, image {number}",
                item,
                near=item.get("subset", ""),
                entry=f"{path}#{number}",
            )

    def draw(self, listed: Listed, image: PurePosixPath, problems: Problems) -> Drawing:
        """Return the objects of an image, and its size."""
        item: ElementTree.Element = listed.item
        size = stated_size(number_of(item.get("height")), number_of(item.get("width")))
        if size is None:
            problems.add("size-not-stated", listed.where, "no width and height")
        drawn = []
        for name, group in _grouped(item):
            report = problems.at(f"{listed.where}, {name} ({image.name})", file=str(image))
            found = [shape for one in group if (shape := _shape_or_none(one, size, report))]
            runs = [shape for shape in found if shape.kind == "runs"]
            shapes = (*valid_shapes([s for s in found if s.kind != "runs"], size, report), *runs)
            if shapes:
                height = max(int(number_of(one.get("z_order")) or 0) for one in group)
                label = self.number_of(group[0].get("label", ""))
                drawn.append(Drawn(label, shapes, name=name, height=height))
        return drawn, size


def _frames(whole: ElementTree.Element, images: Sequence[PurePosixPath]) -> list[ElementTree.Element]:
    """Return the frames of a video as images; a track that is `outside` is not visible.

    A frame without a visible shape is an image without objects, if the file lists it or its task has it.
    """
    size = next(whole.iter("original_size"), None)
    sides = {side: size.findtext(side, "") for side in ("width", "height")} if size is not None else {}
    frames: dict[int, ElementTree.Element] = {}

    def at(frame: int) -> ElementTree.Element:
        said = {"id": str(frame), "name": f"frame_{frame:06d}.PNG", **sides}
        return frames.setdefault(frame, ElementTree.Element("image", said))

    tracks = whole.findall("track")
    for track in tracks:
        for shape in track:
            frame = number_of(shape.get("frame"))
            if shape.tag not in _SHAPES or frame is None:
                continue
            image = at(int(frame))
            if shape.get("outside") != "1":
                shape.set("label", track.get("label", ""))
                image.append(shape)
    numbers = _frames_of_task(whole) if tracks else range(0)
    for path in images:
        if (named := _FRAME.fullmatch(path.stem)) and int(named[1]) in numbers:
            at(int(named[1]))
    return [frames[number] for number in sorted(frames)]


def _frames_of_task(whole: ElementTree.Element) -> range:
    """Return the numbers of a task's or job's frames, as far as the file states them."""
    task = next(
        (found for kind in ("task", "job") if (found := whole.find(f"meta/{kind}")) is not None), None
    )
    if task is None:
        return range(0)
    size, start = (int(number_in(task, key) or 0) for key in ("size", "start_frame"))
    step = re.fullmatch(r"step=([1-9]\d{0,5})", text_in(task, "frame_filter"))
    by = int(step[1]) if step else 1
    return range(start, start + size * by, by)


def _grouped(item: ElementTree.Element) -> Sequence[tuple[str, list[ElementTree.Element]]]:
    """Return the shapes of each object with its name for messages."""
    groups: dict[object, tuple[str, list[ElementTree.Element]]] = {}
    for position, shape in enumerate(item):
        if shape.tag not in _SHAPES:
            continue
        group = shape.get("group_id", "0")
        key: object = position if group in ("", "0") else (group, shape.get("label"))
        groups.setdefault(key, (f"{shape.tag} {position}", []))[1].append(shape)
    return list(groups.values())


_NUMBERS = ("xtl", "ytl", "xbr", "ybr", "cx", "cy", "rx", "ry", "points", "rotation")
_SHOWN = 40
"""Maximum number of characters of a number, or of points, in a message."""


def _shape_or_none(item: ElementTree.Element, size: tuple[int, int] | None, report: Report) -> Shape | None:
    if item.tag in ("cuboid", "skeleton"):
        report("shape-unknown", f"{item.get('label')!r} is a {item.tag}")
        return None
    return _shape(item, size, report)


def _shape(item: ElementTree.Element, size: tuple[int, int] | None, report: Report) -> Shape | None:
    if item.tag == "mask":
        return _mask(item, size, report)
    if item.tag in ("box", "ellipse"):
        keys = ("xtl", "ytl", "xbr", "ybr") if item.tag == "box" else ("cx", "cy", "rx", "ry")
        numbers = [number_of(item.get(key)) for key in keys]
    else:
        words = item.get("points", "").replace(",", ";").split(";")
        numbers = [number_of(word) for word in words if word.strip()]
    known = [number for number in numbers if number is not None]
    degrees = number_of(item.get("rotation", "0"))
    if not known or len(known) < len(numbers) or len(known) % 2 or degrees is None:
        stated = " ".join(f'{k}="{v[:_SHOWN]}"' for k, v in item.items() if k in _NUMBERS)
        report("annotation-malformed", f"<{item.tag} {stated}>: numbers are missing, or too large")
        return None
    if item.tag in ("box", "ellipse"):
        return _rotated(Shape("box" if item.tag == "box" else "ellipse", known), degrees)
    if item.tag == "polygon":
        return Shape("polygon", known)
    if item.tag == "polyline":
        report("drawn-by-width", f"{item.get('label')!r} is a polyline")
        return Shape("line", known)
    if item.tag == "points" and len(known) == 2:
        report("drawn-by-width", f"{item.get('label')!r} is a point")
        return Shape("point", known)
    report("shape-unknown", f"{item.get('label')!r} is a {item.tag} of {len(known) // 2} points")
    return None


def _rotated(shape: Shape, degrees: float) -> Shape:
    """Rotate a box or an ellipse clockwise about its centre, which gives a polygon."""
    if degrees % 360 == 0:
        return shape
    return Shape("polygon", rotate(corners(shape), degrees))


def rotate(points: Sequence[float], degrees: float, center: tuple[float, float] | None = None) -> list[float]:
    """Rotate x, y, x, y, ... clockwise about `center`, or else the centre of the points' bounds."""
    x, y = np.asarray(points[::2], float), np.asarray(points[1::2], float)
    across, down = center or ((x.min() + x.max()) / 2, (y.min() + y.max()) / 2)
    c, s = cos(radians(degrees)), sin(radians(degrees))
    rotated = np.stack(
        [across + c * (x - across) - s * (y - down), down + s * (x - across) + c * (y - down)], 1
    )
    numbers: list[float] = rotated.ravel().tolist()
    return numbers


def _mask(item: ElementTree.Element, size: tuple[int, int] | None, report: Report) -> Shape | None:
    """Read run lengths, which follow the rows of the mask's own box and begin with pixels outside."""
    sides = [number_of(item.get(key)) for key in ("left", "top", "width", "height")]
    runs = [number_of(word) for word in item.get("rle", "").split(",")]
    numbers = [int(side) for side in (*sides, *runs) if side is not None]
    if len(numbers) < len(sides) + len(runs) or size is None or min(numbers) < 0:
        report("rle-wrong-length", "a mask without its box or run lengths")
        return None
    left, top, width, height = numbers[:4]
    lengths = numbers[4:]
    if sum(lengths) != width * height or width * height > MAX_PIXELS:
        report("rle-wrong-length", f"{sum(lengths)} pixels, its box has {height} x {width}")
        return None
    inside = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(height, width)
    return placed(inside, left, top, size, report)
