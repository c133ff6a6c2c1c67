"""Text from files and their names, without characters that a terminal, a browser or a table would obey."""

import re

# Controls but tab and line feed; marks and overrides of direction; separators of lines and paragraphs.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Return text with each control character written out, such as ``\x1b`` for the escape character."""
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], text)


def printable_line(text: object) -> str:
    r"""Return `printable` text in one line, with ``\n`` for each line feed."""
    return printable(str(text)).replace("\n", r"\n")
