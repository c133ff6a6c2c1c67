"""The tables of docs/formats.md, written from `FORMATS` and `WRITERS`."""

from pathlib import Path

from limner.formats import FORMATS, WRITERS
from limner.formats.writers import TRAITS
from limner.storage.whole_files import write_whole


def formats_as_markdown() -> str:
    """Return what is read, in the order in which it is tried, and what written formats cannot hold."""
    lines = ["| format | looks like | written |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {source.title} | {'yes' if name in WRITERS else ''} |"
        for name, source in FORMATS.items()
    ]
    lines += ["", "| written as | what it cannot hold | what happens to it |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {TRAITS[trait]} | {becomes} |"
        for name, writer in WRITERS.items()
        for trait, becomes in writer.cannot_hold.items()
    ]
    return "\n".join(lines)


def write_tables(page: Path) -> None:
    """Write both tables into the page that has them already, in place of the old ones."""
    text = page.read_text("utf-8")
    start, second = text.index("| format |"), text.index("| written as |")
    write_whole(page, text[:start] + formats_as_markdown() + text[text.index("\n\n", second) :])
