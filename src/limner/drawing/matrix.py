"""A confusion matrix as a picture for slides and papers.

Shape legend: K classes.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage
from PIL import ImageDraw

from limner.core.labels import RGB
from limner.drawing.display import RGBImage
from limner.drawing.fonts import text_and_font
from limner.drawing.panels import FAINT, INK, PAPER

RIGHT: RGB = (39, 85, 184)
WRONG: RGB = (201, 74, 18)
EMPTY: RGB = (241, 237, 229)

CELL, LARGE_CELL, MARGIN = 44, 110, 24
"""Cell size in pixels, cell size with few classes, and margin."""

MOST = 150
"""So many classes still make a picture that programs open."""

FEW = 6
"""Maximum number of classes for which counts are shown below the percentages."""


def draw_matrix(counts: npt.NDArray[np.int64], names: Sequence[str], *, title: str = "") -> RGBImage:
    """Draw a confusion matrix with rows normalised by the number of true pixels.

    Of more than `MOST` classes only those with most true pixels are drawn, which the title says.

    Args:
        counts: (K, K), rows truth and columns prediction.
        names: K class names.
        title: Title line at the top.

    Returns:
        (H, W, 3) uint8.
    """
    totals, numbers = counts.sum(1), np.arange(len(names))
    if len(names) > MOST:
        title = f"{title} (the {MOST} most frequent of {len(names)} classes)".strip()
        numbers = np.sort(np.argsort(-totals, kind="stable")[:MOST])
        counts, totals = counts[np.ix_(numbers, numbers)], totals[numbers]
        names = [names[i] for i in numbers.tolist()]
    cell = LARGE_CELL if len(names) <= FEW else CELL
    shown = [text_and_font(name[:32], fallback=f"class {i}") for i, name in zip(numbers, names, strict=True)]
    label = max(round(font.getlength(text)) for text, font in shown) + 14
    left, top = MARGIN + label + 26, MARGIN + (30 if title else 0) + 26 + label
    side = cell * len(names)
    text, font = text_and_font(title)
    width = max(left + side, MARGIN + round(font.getlength(text))) + MARGIN
    sheet = PILImage.new("RGB", (width, top + side + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), text, INK, font=font)
    text, font = text_and_font("predicted as")
    draw.text((left, top - label - 26), text, FAINT, font=font)
    _turned(sheet, "truth", (MARGIN, top), FAINT)
    for i, (text, font) in enumerate(shown):
        middle = top + round((i + 0.5) * cell)
        draw.text((left - 10, middle), text, INK, font=font, anchor="rm" if _has_anchors(font) else None)
        _turned(sheet, text, (left + round((i + 0.5) * cell) - 10, top - label), INK, height=label - 8)
    sheet.paste(_empty_cells(len(names), cell), (left, top))
    for i, j in np.argwhere((counts > 0) | (totals == 0)[:, None] | (cell == LARGE_CELL)).tolist():
        tile = _tile(cell, *_look(int(counts[i, j]), int(totals[i]), is_right=i == j, cell=cell))
        sheet.paste(tile, (left + j * cell, top + i * cell))
    return np.asarray(sheet)


def _empty_cells(number: int, cell: int) -> PILImage.Image:
    """Return a square of `number` x `number` empty cells, of which most of a large matrix consists."""
    return PILImage.fromarray(np.tile(np.asarray(_tile(cell, EMPTY, INK, ())), (number, number, 1)))


def _look(pixels: int, total: int, *, is_right: bool, cell: int) -> tuple[RGB, RGB, tuple[str, ...]]:
    """Return the colour of a cell, that of its text, and its lines."""
    part = pixels / total if total else 0.0
    depth = part if is_right else part**0.6  # emphasises small errors
    goal = RIGHT if is_right else WRONG
    red, green, blue = (round(e + depth * (g - e)) for e, g in zip(EMPTY, goal, strict=True))
    ink = PAPER if depth > 0.55 else INK
    if not total:
        lines: tuple[str, ...] = ("-",)
    elif cell == LARGE_CELL:
        lines = (f"{100 * part:.1f} %", f"{pixels:,}")
    else:
        lines = (f"{100 * part:.0f}",) if part >= 0.005 else ()
    return (red, green, blue), ink, lines


@lru_cache(maxsize=1024)
def _tile(cell: int, fill: RGB, ink: RGB, lines: tuple[str, ...]) -> PILImage.Image:
    """Return a cell, `cell` pixels wide with its gap; most of the 22,500 of a large matrix are equal."""
    tile = PILImage.new("RGB", (cell, cell), PAPER)
    draw = ImageDraw.Draw(tile)
    draw.rounded_rectangle((0, 0, cell - 2, cell - 2), 4, fill=fill)
    for number, line in enumerate(lines):
        text, font = text_and_font(line)
        middle = (cell - 2) / 2
        x = middle - font.getlength(text) / 2
        y = middle - 11 + (number - (len(lines) - 1) / 2) * 22
        draw.text((x, y), text, ink, font=font)
    return tile


def _turned(
    sheet: PILImage.Image, words: str, at: tuple[int, int], color: RGB, *, height: int | None = None
) -> None:
    """Write vertical text; with `height`, aligned at the bottom."""
    text, font = text_and_font(words)
    strip = PILImage.new("RGB", (height or round(font.getlength(text)) + 2, 24), PAPER)
    ImageDraw.Draw(strip).text((0, 0), text, color, font=font)
    sheet.paste(strip.rotate(90, expand=True), at)


def _has_anchors(font: object) -> bool:
    """Return whether a font supports anchors; Pillow's bitmap font does not."""
    return hasattr(font, "getbbox") and hasattr(font, "path")
