"""ICDAR's words: a text file per image of lines ``x1,y1,...,xn,yn,transcription``; ``###`` is unreadable."""

import re
from collections import Counter
from collections.abc import Iterator

from limner.core.sample import Record
from limner.formats.words.word_files import WordFiles
from limner.formats.words.words_source import RawWord
from limner.storage.usable_numbers import number_of, numbers_in

ILLEGIBLE = "###"
_NUMBER = re.compile(r"\s*-?\d+(\.\d+)?\s*")
_VISDRONE = re.compile(r"\s*(?:-?\d+\s*,\s*){4}[01]\s*,\s*(?:\d|1[01])\s*,\s*-?[01]\s*,\s*-?[012]\s*,?\s*")
"""A line of VisDrone: corner and size of a box, score, category, how far it is cut off and hidden."""
_SPACED = re.compile(r'\s*((?:-?\d+\s+){4,})(".*")\s*')
"""A line of ICDAR 2013: ``38 43 920 215 "Tiredness"``."""


class IcdarText(WordFiles):
    """Words with 4 corners, or with as many as the line has numbers for."""

    name = "icdar-text"
    title = "ICDAR's words: gt_img_1.txt for img_1.jpg, each line x1,y1,...,x4,y4,transcription"
    line = "x1,y1,...,transcription"

    @classmethod
    def are_words(cls, lines: list[str]) -> bool:
        """Return whether all lines begin with two corners or more, and are not VisDrone's boxes."""
        return not all(map(_VISDRONE.fullmatch, lines)) and all(
            _num_leading(_with_commas(line)) >= 4 for line in lines
        )

    def raw_words(self, record: Record) -> Iterator[RawWord]:
        """Read the file of an image; commas after the corners belong to the transcription."""
        path, filled = self.lines_of(record)
        lines = [_with_commas(line) for line in filled.values()]
        if lines and not any(map(_num_leading, lines)):
            raise self.no_words(path, repr(lines[0][:40]))
        usual = _usual_numbers(lines)
        for number, line in zip(filled, lines, strict=True):
            fields = line.split(",")
            count = usual if usual and _num_leading(line) >= usual else _num_leading(line)
            text = ",".join(fields[count:]) or None
            where = f"{path.relative_to(self.root).as_posix()}, line {number}"
            ignored = text is not None and text.strip().strip('"') == ILLEGIBLE
            corners = [number_of(field) for field in fields[: count if count >= 4 else 8]]
            said = None if ignored or text is None else text.strip()
            if said and count == 4:  # ICDAR 2013 puts its words into quotes
                said = re.sub(r'^"(.*)"$', r"\1", said)
            yield RawWord(numbers_in(corners), where, said, ignored)


def _usual_numbers(lines: list[str]) -> int | None:
    """Return how many numbers each line begins with, judged by the lines whose word is not a number itself.

    Otherwise ``...,1990`` and ``...,12,34`` would be taken for corners. None if polygons differ in length.
    """
    counts = Counter(_num_leading(line) for line in lines if _num_leading(line) < len(line.split(",")))
    if len(counts) == 1:
        return next(iter(counts))
    return 8 if counts and counts[8] > 0.5 * sum(counts.values()) else None


def _num_leading(line: str) -> int:
    """Return how many numbers precede the transcription, an even number."""
    count = 0
    for field in line.split(","):
        if not _NUMBER.fullmatch(field):
            break
        count += 1
    return count - count % 2


def _with_commas(line: str) -> str:
    spaced = _SPACED.fullmatch(line)
    return ",".join((*spaced[1].split(), spaced[2])) if spaced else line
