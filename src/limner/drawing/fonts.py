"""The font of all pictures, and other fonts of this machine for the scripts that it lacks."""

import unicodedata
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

FONT_SIZE = 17

OWN_FONT = Path(__file__).parent / "dejavu" / "DejaVuSans.ttf"
"""Ships with limner, so that pictures look the same everywhere: Latin, Greek, Cyrillic and many more."""

OTHER_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "Arial Unicode.ttf",
    "msyh.ttc",
    "meiryo.ttc",
    "malgun.ttf",
)
"""Tried in order for what `OWN_FONT` lacks, Chinese, Japanese and Korean above all."""

UNWRITABLE = "?"
"""Replaces a letter that no font has; an empty box would look like a rendering error."""

NO_CHARACTER = "\U0010ffff"
"""An unassigned code point, for which every font draws its glyph for missing letters."""

Font = ImageFont.FreeTypeFont


def text_and_font(text: str, *, fallback: str = "") -> tuple[str, Font]:
    """Return the text to draw and the font to draw it with.

    If a font has all letters, the text is unchanged. Otherwise the result is `fallback`, or the text with
    question marks for the letters that are missing.

    Args:
        text: Text in any script.
        fallback: Latin text to use if `text` cannot be drawn.
    """
    composed = unicodedata.normalize("NFC", text)
    font = _font_with(frozenset(composed))
    if font is not None:
        return composed, font
    font = max(_fonts(), key=lambda f: sum(_has(f, c) for c in composed))
    letters = [letter if _has(font, letter) else UNWRITABLE for letter in composed]
    if fallback and UNWRITABLE in letters:
        return fallback, _fonts()[0]
    return "".join(letters), font


def can_write(text: str) -> bool:
    """Return whether a font on this machine has all letters of a text."""
    return _font_with(frozenset(unicodedata.normalize("NFC", text))) is not None


@lru_cache(maxsize=1024)
def _font_with(letters: frozenset[str]) -> Font | None:
    return next((f for f in _fonts() if all(_has(f, c) for c in letters)), None)


@lru_cache(maxsize=1)
def _fonts() -> tuple[Font, ...]:
    """Return limner's own font, then those of this machine."""
    found = [ImageFont.truetype(str(OWN_FONT), FONT_SIZE)]
    for name in OTHER_FONTS:
        try:
            found.append(ImageFont.truetype(name, FONT_SIZE))
        except OSError:
            continue
    return tuple(found)


@lru_cache(maxsize=4096)
def _has(font: Font, letter: str) -> bool:
    """Return whether a font has a letter, by comparison with its glyph for missing letters."""
    return letter.isspace() or bytes(font.getmask(letter)) != bytes(font.getmask(NO_CHARACTER))
