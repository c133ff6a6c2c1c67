"""Contact sheets: rows of captioned pictures under headings, with a legend below."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw

from limner.drawing.colors import Key
from limner.drawing.display import RGBImage
from limner.drawing.fonts import FONT_SIZE
from limner.drawing.panels import FAINT, GAP, INK, PAPER, Panel, draw_keys, wrapped_keys, write_line

LINE = FONT_SIZE + 9


@dataclass(frozen=True)
class Row:
    """A group of pictures and its heading; an empty heading takes no space."""

    heading: str
    panels: tuple[Panel, ...]


def sheet(
    rows: Sequence[Row], *, columns: int, side: int, title: str = "", legend: Sequence[Key] = ()
) -> RGBImage:
    """Lay out pictures on a white sheet.

    Args:
        rows: From top to bottom; a row of more than `columns` pictures is broken into several lines.
        columns: Number of pictures per line.
        side: Width of each cell; no picture is wider.
        title: Title line at the top.
        legend: Names and colours below, wrapped to the width.

    Returns:
        (H, W, 3) uint8.
    """
    width = columns * (side + GAP) + GAP
    keys = wrapped_keys(legend, width - 2 * GAP)
    lines = [
        (row.heading if i == 0 else "", row.panels[i : i + columns])
        for row in rows
        for i in _starts(row, columns)
    ]
    height = GAP + (LINE + 4 if title else 0) + sum(_height(h, panels) for h, panels in lines)
    canvas = PILImage.new("RGB", (width, height + len(keys) * (LINE + 2) + GAP // 2), PAPER)
    draw = ImageDraw.Draw(canvas)
    y = GAP
    if title:
        write_line(draw, (GAP, y - 2), title, INK, width - 2 * GAP)
        y += LINE + 4
    for heading, panels in lines:
        _draw_row(canvas, draw, heading, panels, side, y)
        y += _height(heading, panels)
    for number, row in enumerate(keys):
        draw_keys(draw, row, y + number * (LINE + 2))
    return np.asarray(canvas)


def _starts(row: Row, columns: int) -> range:
    return range(0, max(1, len(row.panels)), columns)


def _height(heading: str, panels: Sequence[Panel]) -> int:
    tallest = max((panel.picture.shape[0] for panel in panels), default=0)
    return (LINE if heading else 0) + LINE + tallest + GAP


def _draw_row(
    canvas: PILImage.Image,
    draw: ImageDraw.ImageDraw,
    heading: str,
    panels: Sequence[Panel],
    side: int,
    y: int,
) -> None:
    if heading:
        write_line(draw, (GAP, y), heading, INK, canvas.width - 2 * GAP)
        y += LINE
    for number, panel in enumerate(panels):
        x = GAP + number * (side + GAP)
        write_line(draw, (x, y), panel.title, FAINT, side)
        canvas.paste(PILImage.fromarray(panel.picture), (x, y + LINE))
