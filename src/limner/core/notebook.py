"""Tables and pictures that notebooks show for limner's results, as HTML without scripts.

Notebooks ask objects for ``_repr_html_``; nothing of them is imported.
"""

import base64
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from limner.core.labels import RGB, LabelArray, distinct_color, ignored_in
from limner.core.printable import printable_line

IGNORED: RGB = (128, 128, 128)
"""Colour of ignored pixels."""

LARGEST = 512
"""Maximum side of a picture in pixels; larger ones are shown by every second, third, ... pixel."""


@dataclass(frozen=True)
class ColoredName:
    """A cell with a square of a colour before a name."""

    name: str
    color: RGB


Cell = str | int | float | ColoredName


def notebook_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]], note: str = "") -> str:
    """Return a table as HTML; all text is escaped.

    Args:
        title: Line above the table.
        columns: Headings.
        rows: Cells: text is left-aligned, numbers are right-aligned, floats have 4 decimals.
        note: Line below the table.
    """
    head = "".join(f'<th style="text-align:left">{_text(name)}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    below = f"<p>{_text(note)}</p>" if note else ""
    return f"<p><b>{_text(title)}</b></p>{table}{below}"


def label_picture(labels: LabelArray) -> str:
    """Return a label map as an HTML picture, each class in its own colour.

    Args:
        labels: (H, W), or (D, H, W), of which the middle slice is shown.
    """
    shown = labels if labels.ndim == 2 else labels[len(labels) // 2]
    step = max(1, -(-max(shown.shape) // LARGEST))
    shown = shown[::step, ::step]
    values, inverse = np.unique(shown, return_inverse=True)
    ignored = ignored_in(labels)
    palette = [IGNORED if value == ignored else distinct_color(value) for value in values.tolist()]
    data = _png(np.array(palette, np.uint8)[inverse.reshape(shown.shape)])
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return f'<img alt="classes in colours" style="image-rendering:pixelated" src="{url}">'


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return (H, W, 3) RGB as PNG; core has no image library."""
    height, width, _ = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", size), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _cell(value: Cell) -> str:
    if isinstance(value, ColoredName):
        square = f'<span style="color:rgb{value.color}">&#9632;</span>'
        return f'<td style="text-align:left">{square} {_text(value.name)}</td>'
    if isinstance(value, str):
        return f'<td style="text-align:left">{_text(value)}</td>'
    shown = f"{value:.4f}" if isinstance(value, float) else f"{value:,}"
    return f'<td style="text-align:right">{shown}</td>'


def _text(text: str) -> str:
    return escape(printable_line(text))
