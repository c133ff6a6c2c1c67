"""Total-Text's words: a text file per image with the corners of each word as two lists; ``#`` is unreadable.

Data: Ch'ng and Chan, "Total-Text", ICDAR 2017, https://github.com/cs-chan/Total-Text-Dataset. A word is
``x: [[206 633 251]], y: [[91 95 188]], ornt: [u'c'], transcriptions: [u'PETROSAINS']``, and may go on in the
next line.
"""

import re
from collections.abc import Iterator

from limner.core.sample import Record
from limner.formats.words.word_files import WordFiles
from limner.formats.words.words_source import RawWord
from limner.storage.usable_numbers import number_of, numbers_in

ILLEGIBLE = "#"
_BEGIN = re.compile(r"x:\s*\[\[")
_WORD = re.compile(
    r"x:\s*\[\[(?P<x>[^\]]*)\]\]\s*,\s*y:\s*\[\[(?P<y>[^\]]*)\]\]"
    r"(?:\s*,\s*ornt:\s*\[[^\]]*\])?"
    r"(?:\s*,\s*transcriptions:\s*\[(?:u?(?P<quote>['\"])(?P<text>.*?)(?P=quote)\s*)?\])?",
    re.DOTALL,
)


class TotalText(WordFiles):
    """Words of any outline, in the text files of Total-Text."""

    name = "total-text"
    title = "Total-Text's words: poly_gt_img1.txt for img1.jpg, each word x: [[...]], y: [[...]], ..."
    line = "x: [[...]], y: [[...]], ornt: [...], transcriptions: [...]"

    @classmethod
    def are_words(cls, lines: list[str]) -> bool:
        """Return whether the first word begins like one of Total-Text."""
        return re.match(r"\s*x:\s*\[\[", lines[0]) is not None

    def raw_words(self, record: Record) -> Iterator[RawWord]:
        """Read the file of an image."""
        path, lines = self.lines_of(record)
        text = "\n".join(lines.values())
        words = list(_WORD.finditer(text))
        num_begun = len(_BEGIN.findall(text))
        if len(words) < num_begun:
            raise self.no_words(path, f"{num_begun} words, of which {len(words)} can be read")
        if lines and not words:
            raise self.no_words(path, repr(next(iter(lines.values()))[:40]))
        for number, word in enumerate(words, start=1):
            across, down = (
                [number_of(part) for part in re.split(r"[\s,]+", word[axis].strip())] for axis in "xy"
            )
            corners = [value for pair in zip(across, down, strict=False) for value in pair]
            is_whole = len(across) == len(down)
            said = word["text"]
            where = f"{path.relative_to(self.root).as_posix()}, word {number}"
            ignored = said == ILLEGIBLE
            yield RawWord(
                numbers_in(corners) if is_whole else None, where, None if ignored else said, ignored
            )
