from pathlib import Path

from limner.formats import FORMATS, WRITERS
from limner.formats.catalog import formats_as_markdown

ROOT = Path(__file__).parents[2]


def test_the_page_documents_every_format() -> None:
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    assert formats_as_markdown() in page, "docs/formats.md lags behind limner.formats.catalog"


def test_what_is_written_can_be_read() -> None:
    assert WRITERS.keys() <= FORMATS.keys()
