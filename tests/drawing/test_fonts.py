"""Text of any script is written with letters, never with empty boxes."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from limner.core.labels import LabelClass, LabelTable
from limner.drawing import fonts
from limner.drawing.colors import class_keys
from limner.drawing.fonts import can_write, text_and_font


@pytest.fixture
def only_its_own_font(monkeypatch):
    """A machine without any font of its own."""
    caches = (fonts._fonts, fonts._font_with, fonts._has)
    for cache in caches:
        cache.cache_clear()
    monkeypatch.setattr(fonts, "OTHER_FONTS", ())
    yield
    for cache in caches:
        cache.cache_clear()


def test_plain_text_is_written_in_the_font_that_every_machine_has():
    text, font = text_and_font("a/b_01.png, foreground Dice 0.5…")
    assert text == "a/b_01.png, foreground Dice 0.5…" and font is fonts._fonts()[0]


def test_an_accent_apart_from_its_letter_is_put_together():
    assert text_and_font("e\u0301te\u0301")[0] == "été"  # as file names are on macOS


@pytest.mark.usefixtures("only_its_own_font")
@pytest.mark.parametrize(
    ("text", "instead", "written"),
    [
        ("細胞", "class 3", "class 3"),
        ("細胞_01.png", "", "??_01.png"),
        ("Größe, très fin", "class 1", "Größe, très fin"),
        ("ǆ ạ Жук κύτταρο", "class 1", "ǆ ạ Жук κύτταρο"),
        ("  ", "class 1", "  "),
    ],
)
def test_what_no_font_has_is_replaced(text, instead, written):
    assert text_and_font(text, fallback=instead)[0] == written


@pytest.mark.usefixtures("only_its_own_font")
def test_letters_that_are_said_to_be_there_are_no_boxes():
    assert can_write("cell") and not can_write("细")
    font = ImageFont.truetype(str(fonts.OWN_FONT), fonts.FONT_SIZE)

    def drawn(letter):
        sheet = Image.new("L", (40, 40))
        ImageDraw.Draw(sheet).text((5, 5), letter, fill=255, font=font)
        return np.asarray(sheet)

    box = drawn("\U0010fffe")  # another letter that no font has
    letters = [chr(c) for c in (*range(0x21, 0x7F), *range(0xA1, 0xAC), *range(0xAE, 0x180), 0x416, 0x5A9B)]
    for letter in letters:
        assert can_write(letter) == (not np.array_equal(drawn(letter), box)), letter


def test_a_class_has_its_trained_number_as_the_other_name():
    table = LabelTable(
        (LabelClass("background", (0,), (0, 0, 0)), LabelClass("腺体", (255,), (200, 0, 0))),
    )
    (key,) = class_keys(table, np.ones((2, 2), np.uint8))
    assert (key.name, key.fallback) == ("腺体", "class 1")
