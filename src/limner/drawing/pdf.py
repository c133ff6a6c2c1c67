"""Pictures as single-page PDFs."""

import io

from PIL import Image as PILImage

from limner.drawing.display import RGBImage

DOTS_PER_INCH = 144
"""Pixels per inch of paper: text of 17 pixels becomes 8.5 points."""


def encode_pdf(picture: RGBImage) -> bytes:
    """Encode an (H, W, 3) uint8 RGB picture as a PDF with one page of its size.

    It has no dates, so the same picture gives the same bytes.
    """
    buffer = io.BytesIO()
    undated = {"creationDate": None, "modDate": None}
    PILImage.fromarray(picture).save(buffer, "PDF", resolution=DOTS_PER_INCH, quality=95, **undated)
    return buffer.getvalue()
