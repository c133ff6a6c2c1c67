"""An image beside its most probable classes, as bars.

Shape legend: H, W image size, K classes.
"""

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage
from PIL import ImageDraw

from limner.core.labels import RGB
from limner.core.picture import Image
from limner.drawing.display import RGBImage, display_image, resize_picture
from limner.drawing.fonts import FONT_SIZE, text_and_font
from limner.drawing.panels import FAINT, INK, PAPER, Panel, side_by_side, write_line

SIDE = 300
"""Longer side of the image, and width of the bars, in pixels."""

MOST_BARS = 5

RIGHT: RGB = (0, 114, 178)
WRONG: RGB = (213, 94, 0)
TRACK: RGB = (241, 237, 229)
"""Blue and orange of the palette of Okabe and Ito (2008); blue is also a class whose truth is unknown."""

BAR = 12


def class_bars(
    image: Image,
    probabilities: npt.NDArray[np.float32],
    names: Sequence[str],
    *,
    truth: Collection[int] | None = None,
    title: str = "",
) -> RGBImage:
    """Draw an image and its most probable classes; with the truth, true classes are blue and others orange.

    A true class that is not among them is added below.

    Args:
        image: (*spatial, C) of any number type; of volumes, the middle slice is drawn.
        probabilities: (K,) of the classes.
        names: K class names.
        truth: The true classes; None if unknown.
        title: Title line at the top.
    """
    while image.ndim > 3:
        image = image[len(image) // 2]
    picture = display_image(image)
    factor = SIDE / max(picture.shape[:2])
    height, width = (max(1, round(side * factor)) for side in picture.shape[:2])
    picture = resize_picture(picture, (height, width))
    shown = (-probabilities).argsort(kind="stable")[:MOST_BARS].tolist()
    shown += [index for index in sorted(truth or ()) if index not in shown][:MOST_BARS]
    bars = _bars([(names[i], float(probabilities[i]), _color(i, truth), i in (truth or ())) for i in shown])
    tallest = max(len(picture), len(bars))
    panels = [Panel("image", _padded(picture, tallest)), Panel("probabilities", _padded(bars, tallest))]
    return side_by_side(panels, title=title)


def _padded(picture: RGBImage, height: int) -> RGBImage:
    """Put a picture on paper of a height, at least half as wide as usual."""
    sheet = np.full((height, max(picture.shape[1], SIDE // 2), 3), PAPER, np.uint8)
    sheet[: picture.shape[0], : picture.shape[1]] = picture
    return sheet


def _color(index: int, truth: Collection[int] | None) -> RGB:
    return RIGHT if truth is None or index in truth else WRONG


def _bars(rows: Sequence[tuple[str, float, RGB, bool]]) -> RGBImage:
    """Draw name, probability, colour, and whether the class is marked as true, one below the other."""
    line = FONT_SIZE + 6 + BAR + 8
    sheet = PILImage.new("RGB", (SIDE, line * len(rows)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (name, part, color, is_true) in enumerate(rows):
        top = number * line
        percent, font = text_and_font(f"{100 * part:.1f} %")
        taken = round(font.getlength(percent))
        text, _ = text_and_font(name, fallback=f"class {number + 1}")
        write_line(draw, (0, top), f"{text} (true)" if is_true else text, INK, SIDE - taken - 12)
        draw.text((SIDE - taken, top), percent, fill=FAINT, font=font)
        y = top + FONT_SIZE + 6
        draw.rounded_rectangle((0, y, SIDE - 1, y + BAR), 4, fill=TRACK)
        if round(part * SIDE) > 0:
            draw.rounded_rectangle((0, y, max(round(part * SIDE) - 1, 4), y + BAR), 4, fill=color)
    return np.asarray(sheet)
