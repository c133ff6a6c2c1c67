"""Pictures as a page of PDF."""

import io

from PIL import Image as PILImage

from limner.drawing.display import RGBImage

DOTS_PER_INCH = 144
"""Pixels an inch of paper: text of 17 pixels comes out at 8.5 points."""


def encode_pdf(picture: RGBImage) -> bytes:
    """Return an (H, W, 3) uint8 RGB picture as a PDF of one page that is just as large."""
    buffer = io.BytesIO()
    PILImage.fromarray(picture).save(buffer, "PDF", resolution=DOTS_PER_INCH, quality=95)
    return buffer.getvalue()
