"""Pictures side by side with titles and a legend, at a readable size."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw

from limner.core.labels import RGB
from limner.drawing.colors import Key, hatch
from limner.drawing.display import RGBImage
from limner.drawing.fonts import FONT_SIZE, Font, text_and_font

PAPER: RGB = (255, 255, 255)
INK: RGB = (33, 37, 41)
FAINT: RGB = (108, 117, 125)
GAP = 14


@dataclass(frozen=True)
class Panel:
    """A picture and its title."""

    title: str
    picture: RGBImage


def side_by_side(panels: Sequence[Panel], *, title: str = "", legend: Sequence[Key] = ()) -> RGBImage:
    """Place pictures of equal height side by side on white, with titles above and a legend below.

    Args:
        panels: At least one; all of the same height.
        title: Title line at the top, such as the image's name and scores.
        legend: Names and colours, wrapped to the width.

    Returns:
        (H, W, 3) uint8.
    """
    assert panels, "nothing to draw"
    height = panels[0].picture.shape[0]
    line = FONT_SIZE + 9
    width = sum(p.picture.shape[1] + GAP for p in panels) + GAP
    rows = wrapped_keys(legend, width - 2 * GAP)
    top = GAP + (line + 4 if title else 0)
    total = top + line + height + GAP + len(rows) * (line + 2) + (GAP // 2 if rows else 0)
    sheet = PILImage.new("RGB", (width, total), PAPER)
    draw = ImageDraw.Draw(sheet)
    if title:
        write_line(draw, (GAP, GAP - 2), title, INK, width - 2 * GAP)
    left = GAP
    for panel in panels:
        write_line(draw, (left, top), panel.title, FAINT, panel.picture.shape[1])
        sheet.paste(PILImage.fromarray(panel.picture), (left, top + line))
        left += panel.picture.shape[1] + GAP
    for number, row in enumerate(rows):
        draw_keys(draw, row, top + line + height + GAP + number * (line + 2))
    return np.asarray(sheet)


def draw_keys(draw: ImageDraw.ImageDraw, keys: Sequence[Key], y: int) -> None:
    """Draw one row of a legend, its top at `y`."""
    x = GAP
    for key in keys:
        box = x, y + 3, x + FONT_SIZE, y + 3 + FONT_SIZE
        draw.rounded_rectangle(box, 3, fill=PAPER if key.is_hatched else key.color, outline=FAINT)
        if key.is_hatched:
            stripes = hatch((FONT_SIZE - 3, FONT_SIZE - 3)).astype(np.uint8) * 255
            draw.bitmap((x + 2, y + 5), PILImage.fromarray(stripes), fill=key.color)
        name, font = _written(key)
        draw.text((x + FONT_SIZE + 7, y), name, fill=INK, font=font)
        x += _key_width(key)


def wrapped_keys(keys: Sequence[Key], width: int) -> list[list[Key]]:
    """Break a legend into rows that fit the width."""
    rows: list[list[Key]] = []
    used = width + 1
    for key in keys:
        needed = _key_width(key)
        if used + needed > width and not (rows and not rows[-1]):
            rows.append([])
            used = 0
        rows[-1].append(key)
        used += needed
    return rows


def _key_width(key: Key) -> int:
    name, font = _written(key)
    return FONT_SIZE + 7 + round(font.getlength(name)) + 22


def _written(key: Key) -> tuple[str, Font]:
    return text_and_font(key.name, fallback=key.fallback)


def write_line(draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, color: RGB, width: int) -> None:
    """Write one line; text that does not fit is shortened in the middle, to keep both ends of a path."""
    text, font = text_and_font(text)
    shown, keep = text, len(text)
    while font.getlength(shown) > width and keep > 2:
        keep -= 1
        shown = f"{text[: keep // 2]}…{text[len(text) - (keep - keep // 2) :]}"
    draw.text(at, shown, fill=color, font=font)
