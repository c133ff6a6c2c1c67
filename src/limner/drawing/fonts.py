"""Fonts that have the letters of a text, and what is written where none has them."""

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
"""Tried in turn for what Pillow's own font cannot write: it has plain Latin letters, none with an accent."""

UNWRITABLE = "?"
"""Stands for a letter that no font has; an empty box would look like a fault of the picture."""

SPELLINGS = {"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"}
"""How letters are written that Unicode does not take apart into a plain one and a mark."""

NO_CHARACTER = "\U0010ffff"
"""Never assigned, so that every font draws for it what it draws for any letter it lacks."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def text_and_font(text: str, *, instead: str = "") -> tuple[str, Font]:
    """Return what to write for a text, and the font to write it with.

    That is the text itself wherever a font on this machine has all of its letters. Otherwise accents are
    left out; where that does not help, it is `instead`, or the text with question marks.

    Args:
        text: Of any script.
        instead: Latin text to take in place of one that cannot be written.
    """
    composed = unicodedata.normalize("NFC", text)
    font = _font_with(frozenset(composed))
    if font is not None:
        return composed, font
    font = max(_fonts(), key=lambda f: sum(_has(f, c) for c in composed))
    letters = [_nearest(letter, font) for letter in composed]
    if instead and UNWRITABLE in letters:
        return instead, _fonts()[0]
    return "".join(letters), font


def can_write(text: str) -> bool:
    """Tell whether a font on this machine has all letters of a text."""
    return _font_with(frozenset(unicodedata.normalize("NFC", text))) is not None


@lru_cache(maxsize=1024)
def _font_with(letters: frozenset[str]) -> Font | None:
    return next((f for f in _fonts() if all(_has(f, c) for c in letters)), None)


@lru_cache(maxsize=1)
def _fonts() -> tuple[Font, ...]:
    """Return the fonts of this machine: Pillow's own first, which looks the same everywhere."""
    found: list[Font] = [ImageFont.load_default(FONT_SIZE)]
    for name in FONTS_OF_MANY_SCRIPTS:
        try:
            found.append(ImageFont.truetype(name, FONT_SIZE))
        except OSError:
            continue
    return tuple(found)


@lru_cache(maxsize=4096)
def _has(font: Font, letter: str) -> bool:
    """Tell whether a font has a letter: Pillow does not say, but what is missing is drawn all alike."""
    return letter.isspace() or bytes(font.getmask(letter)) != bytes(font.getmask(NO_CHARACTER))


def _nearest(letter: str, font: Font) -> str:
    """Return a letter, or itself without its accents, or `UNWRITABLE`."""
    if _has(font, letter):
        return letter
    apart = SPELLINGS.get(letter) or unicodedata.normalize("NFKD", letter)
    plain = "".join(c for c in apart if not unicodedata.combining(c))
    return plain if plain and all(_has(font, c) for c in plain) else UNWRITABLE
