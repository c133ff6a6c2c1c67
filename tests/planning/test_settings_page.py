from pathlib import Path

from limner.planning.settings import settable_fields
from limner.planning.settings_page import settings_as_markdown, write_settings_page

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_that_of_the_code(tmp_path):
    write_settings_page(tmp_path / "settings.md")
    assert PAGE.read_text("utf-8") == (tmp_path / "settings.md").read_text("utf-8"), "run: make generate"


def test_every_setting_is_described():
    rows = [line.split(" | ") for line in settings_as_markdown().splitlines() if line.startswith("| `")]
    keys = {row[0].strip("| `") for row in rows}
    assert set(settable_fields()) - {"task"} <= keys
    assert not {"input.dtype", "data.path"} & keys  # they come from the data
    assert all(row[3].strip(" |") for row in rows)
