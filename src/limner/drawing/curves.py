"""Line plots as a picture, for slides and papers: one panel per value, one line per run."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw

from limner.core.labels import RGB, distinct_color
from limner.drawing.display import RGBImage
from limner.drawing.fonts import text_and_font
from limner.drawing.panels import FAINT, INK, PAPER

LINE_COLORS: tuple[RGB, ...] = (
    (39, 85, 184),
    (207, 81, 20),
    (15, 133, 120),
    (171, 122, 0),
    (145, 68, 141),
    (63, 149, 207),
    (109, 106, 102),
    (123, 74, 35),
)
"""Colour-blind safe; after Okabe and Ito (2008)."""

GRID: RGB = (229, 224, 214)

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, RIGHT = 620, 330, 84, 44, 44, 22
"""Size of a panel, and margins around its lines, in pixels."""

DOT = 4
"""Radius of the dot for a curve with a single point."""

FINER = 3
"""Supersampling factor of lines, for anti-aliasing."""


Place = Callable[[float, float], tuple[float, float]]
"""Function of a value's position: pixels from the left and from the top of the plot."""


@dataclass(frozen=True)
class Curve:
    """One line.

    Attributes:
        label: Name in the legend.
        xs: x values.
        ys: y values; a value that is not finite breaks the line.
    """

    label: str
    xs: Sequence[float]
    ys: Sequence[float]


@dataclass(frozen=True)
class CurvePanel:
    """One plot: its title, and its lines in the order of the legend."""

    title: str
    curves: Sequence[Curve]


def _plain(x: float) -> str:
    return f"{x:.4g}"


def draw_curves(
    panels: Sequence[CurvePanel],
    labels: Sequence[str],
    *,
    x_label: str = "step",
    show_x: Callable[[float], str] = _plain,
) -> RGBImage:
    """Draw panels, two per row, with one shared legend.

    Args:
        panels: Each with at least one finite point.
        labels: The legend; a curve's colour follows from the index of its label.
        x_label: Label below each panel.
        show_x: Formats an x value below a panel.

    Returns:
        (H, W, 3) uint8.
    """
    columns = min(2, len(panels))
    rows = math.ceil(len(panels) / max(1, columns))
    legend = 30 * len(labels) + 20
    sheet = PILImage.new("RGB", (WIDTH * max(1, columns), HEIGHT * rows + legend), PAPER)
    for number, panel in enumerate(panels):
        at = (WIDTH * (number % columns), HEIGHT * (number // columns))
        sheet.paste(_panel(panel, labels, x_label, show_x), at)
    draw = ImageDraw.Draw(sheet)
    for number, label in enumerate(labels):
        y = HEIGHT * rows + 10 + 30 * number
        draw.rounded_rectangle((LEFT, y + 8, LEFT + 34, y + 13), 2, fill=_color(number))
        text, font = text_and_font(label)
        draw.text((LEFT + 46, y), text, INK, font=font)
    return np.asarray(sheet)


def _panel(
    panel: CurvePanel, labels: Sequence[str], x_label: str, show_x: Callable[[float], str]
) -> PILImage.Image:
    points = [(x, y) for c in panel.curves for x, y in zip(c.xs, c.ys, strict=True) if math.isfinite(y)]
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    y_low, y_high = min(y for _, y in points), max(y for _, y in points)
    x_span, y_span = (x_high - x_low) or 1.0, (y_high - y_low) or abs(y_high) or 1.0
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        inside_x, inside_y = width - 2 * DOT, height - 2 * DOT  # so that no dot is clipped at an edge
        return DOT + (x - x_low) / x_span * inside_x, DOT + (1 - (y - y_low) / y_span) * inside_y

    plot = PILImage.new("RGB", (width * FINER, height * FINER), PAPER)
    lines = ImageDraw.Draw(plot)
    for part in (0, 0.25, 0.5, 0.75, 1):
        y = min(round(part * height * FINER), height * FINER - 1)
        lines.line((0, y, width * FINER, y), GRID, FINER)
    for curve in panel.curves:
        _line(lines, curve, _color(labels.index(curve.label)), place)
    made = PILImage.new("RGB", (WIDTH, HEIGHT), PAPER)
    made.paste(plot.resize((width, height), PILImage.Resampling.LANCZOS), (LEFT, TOP))
    draw = ImageDraw.Draw(made)
    title, font = text_and_font(panel.title)
    draw.text((LEFT, 10), title, INK, font=font)
    for part in (0, 0.5, 1):
        value, font = text_and_font(f"{y_low + (1 - part) * y_span:.3g}")
        draw.text((LEFT - 10 - font.getlength(value), TOP + part * height - 11), value, FAINT, font=font)
    for x in _x_marks([x for x, _ in points]):
        part = (x - x_low) / x_span
        value, font = text_and_font(show_x(x))
        draw.text((LEFT + part * (width - font.getlength(value)), TOP + height + 6), value, FAINT, font=font)
    word, font = text_and_font(x_label)
    draw.text((LEFT + width * 0.75 - font.getlength(word) / 2, TOP + height + 6), word, FAINT, font=font)
    return made


def _x_marks(xs: Sequence[float]) -> list[float]:
    """Return the ends and the middle of an axis; the middle of whole numbers is a whole number."""
    low, high = min(xs), max(xs)
    are_whole = all(float(x).is_integer() for x in xs)
    middle = math.floor((low + high) / 2) if are_whole else (low + high) / 2
    return list(dict.fromkeys((low, middle, high)))


def _line(
    draw: ImageDraw.ImageDraw, curve: Curve, color: RGB, place: Callable[[float, float], tuple[float, float]]
) -> None:
    piece: list[tuple[float, float]] = []
    for x, y in [*zip(curve.xs, curve.ys, strict=True), (math.nan, math.nan)]:
        if math.isfinite(y):
            left, top = place(x, y)
            piece.append((left * FINER, top * FINER))
            continue
        if len(piece) == 1:
            (left, top), r = piece[0], DOT * FINER
            draw.ellipse((left - r, top - r, left + r, top + r), fill=color)
        elif piece:
            draw.line(piece, color, 2 * FINER, joint="curve")
        piece = []


def _color(number: int) -> RGB:
    return LINE_COLORS[number] if number < len(LINE_COLORS) else distinct_color(number)
