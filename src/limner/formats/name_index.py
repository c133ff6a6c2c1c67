"""Find files by the names in label files, even if capitals, accents or blanks differ."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain
from pathlib import PurePosixPath


class NameIndex:
    """Name -> the files of that name.

    Labels and images travel apart: from Windows, where ``A.JPG`` is ``a.jpg``; through macOS, which takes
    accents apart; through uploads, which write ``_`` for a blank and drop brackets. So a name that no file
    has exactly matches the one that differs in these alone.
    """

    def __init__(self, named: Iterable[tuple[str, PurePosixPath]]) -> None:
        self._exact: dict[str, list[PurePosixPath]] = defaultdict(list)
        for name, path in named:
            self._exact[name].append(path)

    def files(self) -> Iterator[PurePosixPath]:
        """Yield every file, those of one name together."""
        return chain.from_iterable(self._exact.values())

    def find(self, *names: str) -> list[PurePosixPath]:
        """Return the files of the first name that has any, as it is written or else loosely."""
        for name in names:  # nearly always the first
            if found := self._exact.get(name):
                return found
        return next((found for name in names if (found := self._by_loose_name(name))), [])

    def _by_loose_name(self, name: str) -> list[PurePosixPath]:
        written = self._loose.get(_loose(name), [])
        return self._exact[written[0]] if len(written) == 1 else []  # of two it could be either

    @cached_property
    def _loose(self) -> dict[str, list[str]]:
        loose: dict[str, list[str]] = defaultdict(list)
        for name in self._exact:
            loose[_loose(name)].append(name)
        return loose


def _loose(name: str) -> str:
    composed = unicodedata.normalize("NFC", name).casefold()
    return re.sub(r"[^-\w.]", "", re.sub(r"\s", "_", composed))
