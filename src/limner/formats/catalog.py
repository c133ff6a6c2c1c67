"""The tables of docs/formats.md, written from `FORMATS` and `WRITERS`."""

from limner.formats import FORMATS, WRITERS
from limner.formats.writers import TRAITS


def as_markdown() -> str:
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
