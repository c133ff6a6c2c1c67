"""The picture of the house shows the house: docs/pictures/architecture.svg has today's rooms and arrows."""

import importlib.util
import re
from html import unescape
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
RENEW = "docs/pictures/architecture.svg lags behind the code; renew it: make generate"


@pytest.fixture(scope="module")
def drawing():
    """The module that draws the picture."""
    spec = importlib.util.spec_from_file_location(
        "draw_architecture", REPOSITORY / "docs" / "draw_architecture.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def picture(drawing):
    return unescape(drawing.PICTURE.read_text("utf-8"))


def test_every_folder_is_a_room(picture):
    folders = {path.parent.name for path in (REPOSITORY / "src" / "limner").glob("*/__init__.py")}
    assert set(re.findall(r'<g id="(\w+)">', picture)) == folders - {"example"}, RENEW


@pytest.fixture(scope="module")
def house(drawing):
    return drawing.House()


def test_the_arrows_are_the_imports(house, picture):
    shown = re.search(r"<metadata>(.*)</metadata>", picture)[1].split()
    assert shown == [f"{source}>{target}" for source, target in house.arrows], RENEW


def test_every_room_says_what_it_is_for(house):
    assert all(house.sentence(room) for level in house.levels for room in level)
