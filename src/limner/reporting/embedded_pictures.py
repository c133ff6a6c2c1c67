"""Pictures embedded in a page, scaled down until all of them fit a size budget."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from limner.drawing.display import RGBImage

BUDGET_BYTES = 3_400_000
"""Total size of a page's pictures before base64, which adds a third; the page must stay under 6 MB."""

LADDER = ((1400, 84), (1200, 78), (960, 72), (720, 64), (480, 55), (320, 40), (160, 30))
"""Longest side in pixels and WebP quality, tried in order until the picture fits its share."""

EFFORT = 2
"""Of 0 to 6: half the time of 4, Pillow's default, for files that are 1 to 4 % larger."""


@dataclass(frozen=True)
class Embedded:
    """A picture as a data URI, with its size in pixels so that the layout does not shift while loading."""

    uri: str
    width: int
    height: int


def embed(paths: Sequence[Path], *, budget: int = BUDGET_BYTES) -> dict[Path, Embedded]:
    """Return each readable picture as a data URI; damaged ones are left out.

    Args:
        paths: Picture files.
        budget: Total bytes, shared equally.
    """
    embedded = {}
    for path in paths:
        try:
            embedded[path] = _embed(path, budget // len(paths))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # a broken PNG is the third
            continue
    return embedded


def embed_pictures(pictures: Sequence[RGBImage], *, budget: int = BUDGET_BYTES) -> list[Embedded]:
    """Return pictures in memory, (H, W, 3) uint8 RGB, as data URIs that share a budget in bytes."""
    return [_shrunk(Image.fromarray(picture), budget // len(pictures)) for picture in pictures]


def _embed(path: Path, share: int) -> Embedded:
    with Image.open(path) as opened:
        return _shrunk(opened.convert("RGB"), share)


def _shrunk(picture: Image.Image, share: int) -> Embedded:
    for longest, quality in LADDER:
        small = picture.copy()
        small.thumbnail((longest, longest), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        small.save(buffer, "WEBP", quality=quality, method=EFFORT)
        if buffer.tell() <= share:
            break
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Embedded(f"data:image/webp;base64,{text}", *small.size)
