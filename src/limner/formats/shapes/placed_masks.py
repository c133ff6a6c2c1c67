"""Masks of a part of an image, as tools store them: decoded, and placed in the whole image."""

import io

import numpy as np
from PIL import Image as PillowImage

from limner.core.segments import Mask
from limner.formats.drawn import Shape, runs_of_mask
from limner.formats.problems import Report
from limner.formats.shapes.valid_shapes import MAX_PIXELS


def mask_of_png(data: bytes) -> Mask:
    """Return the (H, W) mask of a PNG: where its alpha, or else its grey value, is not 0.

    Raises:
        ValueError: It is no PNG, or larger than any image.
    """
    try:
        with PillowImage.open(io.BytesIO(data), formats=("PNG",)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise ValueError(f"a mask of {picture.width} x {picture.height} pixels")
            pixels = np.asarray(picture)
    except (OSError, SyntaxError, PillowImage.DecompressionBombError) as error:
        raise ValueError(str(error)) from None
    if pixels.ndim == 3:
        pixels = pixels[..., -1] if pixels.shape[2] in (2, 4) else pixels.max(axis=2)
    return np.asarray(pixels > 0)


def placed(part: Mask, left: int, top: int, size: tuple[int, int], report: Report) -> Shape | None:
    """Return a mask of part of an image as runs of the whole; None, with a finding, if it is empty there.

    Args:
        part: The mask.
        left: Column of its first pixel; negative columns and rows are cut off.
        top: Row of its first pixel.
        size: Height and width of the image.
        report: Takes the finding.
    """
    whole = np.zeros(size, bool)
    part = part[max(0, -top) :, max(0, -left) :]
    there = whole[max(0, top) :, max(0, left) :][: part.shape[0], : part.shape[1]]
    there |= part[: there.shape[0], : there.shape[1]]
    if not whole.any():
        report("annotation-empty", "a mask without a pixel inside the image")
        return None
    return Shape("runs", runs_of_mask(whole))
