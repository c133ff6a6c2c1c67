import unicodedata
from pathlib import PurePosixPath

import pytest

from limner.formats.name_index import NameIndex

ACCENT = unicodedata.normalize("NFC", "große Größe.jpg")


def index(*names: str) -> NameIndex:
    return NameIndex((name, PurePosixPath("x") / name) for name in names)


@pytest.mark.parametrize(
    ("written", "on_disk"),
    [
        ("IMG_1.jpg", "IMG_1.JPG"),
        (unicodedata.normalize("NFD", ACCENT), ACCENT),
        (ACCENT, unicodedata.normalize("NFD", ACCENT)),
        ("scan_2_1.png", "scan 2 (1).png"),
    ],
)
def test_a_name_that_no_file_has_as_written(written: str, on_disk: str) -> None:
    assert index("other.jpg", on_disk).find(written) == [PurePosixPath("x") / on_disk]


def test_what_is_written_comes_first_and_nothing_is_guessed() -> None:
    both = index("a b.png", "A_B.png")
    assert both.find("a b.png") == [PurePosixPath("x/a b.png")]
    assert both.find("a_b.png") == []  # it could be either
    assert both.find("ab.png") == []
    assert both.find("none.png", "A_B.png") == [PurePosixPath("x/A_B.png")]
