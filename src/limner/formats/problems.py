"""Findings of annotations, collected by kind; `FORMAT_CODES` is the table of their severities and fixes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from limner.core.finding import Finding
from limner.formats.format_codes import FORMAT_CODES, format_finding
from limner.formats.terms import DRAWINGS, Terms

Report = Callable[[str, str], None]
"""Reports one problem at a known place, by code and what was found."""


Case = tuple[str, str, str, int]
"""Code, where, found, and how often."""


@dataclass
class _Cases:
    """Count of one kind of problem, its first case, and the files that have it (as keys)."""

    count: int = 0
    found: str = ""
    where: str = ""
    files: dict[str, None] = field(default_factory=dict)
    proposal: dict[str, Any] | None = None


class Problems:
    """Collect problems, so that a thousand cases of one kind make one finding."""

    def __init__(self) -> None:
        self._cases: dict[str, _Cases] = {}

    def add(
        self, code: str, where: str, found: str, *, file: str = "", proposal: dict[str, Any] | None = None
    ) -> None:
        """Add one problem.

        Args:
            code: One of `FORMAT_CODES`.
            where: File and annotation.
            found: What is there.
            file: The image or label file, so that a report can show it; defaults to `where`.
            proposal: The part of `dataset.yaml` that would resolve all problems of this kind.
        """
        assert code in FORMAT_CODES, code
        cases = self._cases.setdefault(code, _Cases(0, found, where, proposal=proposal))
        cases.count += 1
        cases.files[file or where] = None

    def at(self, where: str, *, file: str = "") -> Report:
        """Return a function that reports problems at one place."""
        return lambda code, found: self.add(code, where, found, file=file)

    def take(self, others: "Problems") -> None:
        """Add all problems of `others`."""
        for code, cases in others._cases.items():
            mine = self._cases.setdefault(code, _Cases(0, cases.found, cases.where))
            mine.count += cases.count
            mine.files |= cases.files

    def cases(self) -> tuple[Case, ...]:
        """Return code, place and text of the first case, and the count, of each kind."""
        return tuple((code, c.where, c.found, c.count) for code, c in self._cases.items())

    def add_cases(self, cases: Iterable[Case], *, file: str) -> None:
        """Add what `cases` returned, all of one file."""
        for code, where, found, count in cases:
            mine = self._cases.setdefault(code, _Cases(0, found, where))
            mine.count += count
            mine.files[file] = None

    def findings(self, terms: Terms = DRAWINGS) -> tuple[Finding, ...]:
        """Return one finding for each code: the first case in full, the files of the others.

        Args:
            terms: The words of the format.
        """
        return tuple(_finding(code, cases, terms) for code, cases in self._cases.items())


def _finding(code: str, cases: _Cases, terms: Terms) -> Finding:
    kind = FORMAT_CODES[code]
    more = f"; {cases.count - 1} more like it" if cases.count > 1 else ""
    return format_finding(
        code,
        cases.where,
        cases.found + more,
        expected=terms.fill(kind.expected),
        fix=terms.fill(kind.fix),
        files=cases.files,
        cases=cases.count,
        proposal=cases.proposal,
    )
