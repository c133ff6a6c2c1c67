"""Tutorials of docs/ as commands and Python code, in the order in which people run them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ENDS_WITH = re.compile(r"# exit code (\d)$")


@dataclass(frozen=True)
class Command:
    """One command of a page.

    Attributes:
        words: What follows ``limner``.
        ends_with: Exit code that the page announces.
    """

    words: tuple[str, ...]
    ends_with: int


def steps(page: str, section: str = "") -> Iterator[Command | str]:
    """Yield the commands and the Python code of a page, or of the section whose heading begins so."""
    text = (DOCS / f"{page}.md").read_text("utf-8")
    if section:
        _, found, text = text.partition(f"\n## {section}")
        assert found, f"{page}.md has no section {section}"
        text = text.partition("\n## ")[0]
    for kind, content in BLOCK.findall(text):
        if kind == "python":
            yield content
            continue
        for line in content.splitlines():
            said = ENDS_WITH.search(line)
            program, *words = shlex.split(line, comments=True)
            assert program == "limner", line
            yield Command(tuple(words), int(said[1]) if said else 0)
