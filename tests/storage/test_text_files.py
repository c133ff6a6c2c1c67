import pytest

from limner.storage import text_files
from limner.storage.text_files import lines_of

TEXTS = [
    "",
    "\n",
    "one line",
    "one\ntwo\n",
    "windows\r\nold mac\rother\x0bends\x1c\x85\u2028of lines\r\n\r\n",
    "\n\n\nmany\n" * 50,
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("at_once", [1, 2, 3, 5, 1000])
def test_lines_are_those_of_the_whole_text(monkeypatch, text, at_once):
    monkeypatch.setattr(text_files, "_AT_ONCE", at_once)
    assert [*lines_of(text)] == text.splitlines()
