from pathlib import Path

from limner.formats import FORMATS, WRITERS
from limner.formats.catalog import formats_as_markdown, write_tables

ROOT = Path(__file__).parents[2]


def test_the_page_documents_every_format() -> None:
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    assert formats_as_markdown() in page, "docs/formats.md lags behind FORMATS: make generate"


def test_the_tables_are_written_between_what_else_the_page_says(tmp_path) -> None:
    page = tmp_path / "formats.md"
    page.write_text("before\n\n| format |\n| old |\n\n| written as |\n| old |\n\nafter\n")
    write_tables(page)
    assert page.read_text() == f"before\n\n{formats_as_markdown()}\n\nafter\n"


def test_what_is_written_can_be_read() -> None:
    assert WRITERS.keys() <= FORMATS.keys()
