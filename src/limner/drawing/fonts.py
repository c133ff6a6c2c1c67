"""Fonts that have the letters of a text, and replacements if no font has them."""

import unicodedata
from functools import lru_cache

from PIL import ImageFont

FONT_SIZE = 17

FONTS_OF_MANY_SCRIPTS = (
    "DejaVuSans.ttf",
    "LiberationSans-Regular.ttf",
    "Arial.ttf",
    "arial.ttf",
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
    "NotoSans-Regular.ttf",
)
"""Fonts tried in order for text that Pillow's own font, with unaccented Latin letters only, cannot draw."""

UNWRITABLE = "?"
"""Replaces a letter that no font has; an empty box would look like a rendering error."""

SPELLINGS = {"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"}
"""Replacements for letters that Unicode does not decompose into a base letter and a mark."""

NO_CHARACTER = "\U0010ffff"
"""An unassigned code point, for which every font draws its glyph for missing letters."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def text_and_font(text: str, *, fallback: str = "") -> tuple[str, Font]:
    """Return the text to draw and the font to draw it with.

    If a font on this machine has all letters, the text is unchanged. Otherwise accents are removed; if that
    is not enough, the result is `fallback`, or the text with question marks.

    Args:
        text: Text in any script.
        fallback: Latin text to use if `text` cannot be drawn.
    """
    composed = unicodedata.normalize("NFC", text)
    font = _font_with(frozenset(composed))
    if font is not None:
        return composed, font
    font = max(_fonts(), key=lambda f: sum(_has(f, c) for c in composed))
    letters = [_nearest(letter, font) for letter in composed]
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
    """Return the fonts of this machine; Pillow's own is first because it looks the same everywhere."""
    found: list[Font] = [ImageFont.load_default(FONT_SIZE)]
    for name in FONTS_OF_MANY_SCRIPTS:
        try:
            found.append(ImageFont.truetype(name, FONT_SIZE))
        except OSError:
            continue
    return tuple(found)


@lru_cache(maxsize=4096)
def _has(font: Font, letter: str) -> bool:
    """Return whether a font has a letter, by comparison with its glyph for missing letters."""
    return letter.isspace() or bytes(font.getmask(letter)) != bytes(font.getmask(NO_CHARACTER))


def _nearest(letter: str, font: Font) -> str:
    """Return a letter, the letter without accents, or `UNWRITABLE`."""
    if _has(font, letter):
        return letter
    apart = SPELLINGS.get(letter) or unicodedata.normalize("NFKD", letter)
    plain = "".join(c for c in apart if not unicodedata.combining(c))
    return plain if plain and all(_has(font, c) for c in plain) else UNWRITABLE
