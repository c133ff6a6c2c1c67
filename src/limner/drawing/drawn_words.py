"""Words drawn on an image: an outline, and the text above it.

Shape legend: H, W picture size.
"""

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw

from limner.core.words import Words
from limner.drawing.display import RGBImage
from limner.drawing.fonts import FONT_SIZE, text_and_font

READ, IGNORED = (0, 220, 90), (150, 150, 150)


def draw_words(picture: RGBImage, words: Words, *, size: tuple[int, int]) -> RGBImage:
    """Outline each word, ignored ones in grey, and write its text above if there is room.

    Args:
        picture: (H, W, 3) uint8, drawn on a copy.
        words: In pixel coordinates of the original image.
        size: Height and width of the original image.
    """
    canvas = PILImage.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    scale = np.array([picture.shape[1] / size[1], picture.shape[0] / size[0]])
    taken: list[tuple[float, float, float]] = []
    for polygon, text, ignored in zip(words.polygons, words.texts, words.is_ignored, strict=True):
        corners = [(float(x), float(y)) for x, y in polygon * scale]
        draw.line([*corners, corners[0]], fill=IGNORED if ignored else READ, width=2)
        if not text or ignored:
            continue
        shown, font = text_and_font(text, fallback="?")
        left, top = min(x for x, _ in corners), max(0.0, min(y for _, y in corners) - FONT_SIZE - 2)
        right = left + font.getlength(shown)
        if any(left < end and start < right and abs(top - t) < FONT_SIZE for start, end, t in taken):
            continue
        taken.append((left, right, top))
        draw.text((left, top), shown, font=font, fill="white", stroke_width=2, stroke_fill=(20, 20, 20))
    return np.asarray(canvas)
