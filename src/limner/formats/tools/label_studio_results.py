"""Label Studio's results: one region of an image as the tool stores it, in percent of the image's sides."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from limner.core.segments import Mask
from limner.formats.drawn import Drawn, Shape, corners

LONGEST_RUN = 1 << 16
"""Values in one block of a brush: a length has 16 bits or fewer."""

LENGTH_BITS = (3, 4, 8, 16)
"""Bits of the lengths that a brush can choose from, as in Label Studio's own encoder."""

POLYGON, RECTANGLE, ELLIPSE, BRUSH, KEYPOINT = (
    *("polygonlabels", "rectanglelabels", "ellipselabels"),
    *("brushlabels", "keypointlabels"),
)
"""Types of results; the control tag of each has the same name, such as <PolygonLabels>."""

_TYPE_OF = {"polygon": POLYGON, "box": RECTANGLE, "ellipse": ELLIPSE, "point": KEYPOINT}


def result_of(drawn: Drawn, name: str, size: tuple[int, int], *, number: int) -> dict[str, Any]:
    """Return the result of an object, without the names of the tags in a project (`from_name`, `to_name`).

    An object of one polygon, box, ellipse or point stays one; of several shapes, or with holes, it becomes a
    brush, pixel for pixel.

    Args:
        drawn: The object.
        name: Its label in the project.
        size: (H, W) of the image.
        number: Makes the id of the result.
    """
    height, width = size
    (kind, value) = _value(drawn, size)
    scored = {} if drawn.score is None else {"score": round(drawn.score, 5)}
    return {
        "id": f"limner{number}",
        "type": kind,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {**value, kind: [name]},
        **scored,
    }


def _value(drawn: Drawn, size: tuple[int, int]) -> tuple[str, dict[str, Any]]:
    """Return the type of a result and the numbers of its shape."""
    shape = drawn.shapes[0]
    if len(drawn.shapes) > 1 or shape.kind not in _TYPE_OF:
        return BRUSH, {"format": "rle", "rle": pack_brush(drawn.mask(*size))}
    percent = [100 * n / size[1 - i % 2] for i, n in enumerate(_numbers(shape))]
    if shape.kind == "polygon":
        return POLYGON, {"points": np.reshape(percent, (-1, 2)).tolist(), "closed": True}
    keys = {
        "box": ("x", "y", "width", "height"),
        "ellipse": ("x", "y", "radiusX", "radiusY"),
        "point": ("x", "y"),
    }[shape.kind]
    rotation = {} if shape.kind == "point" else {"rotation": 0}
    return _TYPE_OF[shape.kind], dict(zip(keys, percent, strict=True)) | rotation


def _numbers(shape: Shape) -> list[float]:
    """Return the numbers of a shape; of a box its first corner, width and height."""
    if shape.kind == "polygon":
        return corners(shape)
    numbers = list(shape.numbers)
    if shape.kind == "box":
        left, top, right, bottom = numbers
        return [left, top, right - left, bottom - top]
    return numbers


def pack_brush(mask: Mask) -> list[int]:
    """Pack a mask (H, W) as Label Studio's brush: runs of red, green, blue and alpha of each pixel.

    The inverse of `unpack_brush` in `limner.formats.tools.label_studio`, which has the layout.
    """
    values = mask.ravel()
    ends = np.flatnonzero(np.diff(values)) + 1
    starts = np.concatenate([[0], ends])
    lengths = 4 * np.diff(np.concatenate([starts, [values.size]]))
    bits = [f"{4 * values.size:032b}{7:05b}", *(f"{length - 1:04b}" for length in LENGTH_BITS)]
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        bits += _runs(length, value=255 if values[start] else 0)
    text = "".join(bits)
    packed: list[int] = np.packbits(np.frombuffer(text.encode(), np.uint8) - ord("0")).tolist()
    return packed


def _runs(length: int, *, value: int) -> Sequence[str]:
    """Return the blocks of a run: a mark, which length follows, the length less 1, and the value."""
    blocks = []
    while length > 0:
        part = min(length, LONGEST_RUN)
        which = next(i for i, bits in enumerate(LENGTH_BITS) if part <= 1 << bits)
        blocks.append(f"1{which:02b}{part - 1:0{LENGTH_BITS[which]}b}{value:08b}")
        length -= part
    return blocks
