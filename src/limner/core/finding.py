"""Findings: the results of checks on a dataset, as data."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

MOST_FILES = 20
"""Maximum number of files listed in a finding; its `count` is the total number."""


class Severity(str, Enum):
    """Severity of a finding: errors stop training, warnings and notes do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Code:
    """One kind of finding.

    Attributes:
        severity: Its severity, or the usual one.
        meaning: One sentence for docs/checks.md.
        expected: What was expected, if that is the same for all findings of this kind.
        fix: What the user can do, likewise.
        also: Severity of those findings of this kind that are more or less serious; None if there are none.
    """

    severity: Severity
    meaning: str
    expected: str = ""
    fix: str = ""
    also: Severity | None = None


@dataclass(frozen=True)
class Finding:
    """One result of a check.

    Attributes:
        code: Stable name in kebab-case, such as ``mask-is-jpeg``; documented in docs/checks.md.
        severity: Errors stop training.
        where: The file, folder or class concerned, as the user would write it.
        found: What was found, one sentence.
        expected: What was expected.
        fix: What the user can do.
        proposal: Part of `dataset.yaml` that resolves it; ``limner check --accept`` writes it.
        files: Up to `MOST_FILES` affected files, relative to the dataset folder.
        count: Total number of affected files.
        cases: Number of occurrences if a file can have several, else None.
    """

    code: str
    severity: Severity
    where: str
    found: str
    expected: str = ""
    fix: str = ""
    proposal: dict[str, Any] | None = None
    files: tuple[str, ...] = ()
    count: int = 1
    cases: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain JSON-ready values."""
        return {**asdict(self), "severity": self.severity.value, "files": list(self.files)}


def build_finding(
    codes: Mapping[str, Code],
    code: str,
    where: str,
    found: str,
    *,
    expected: str = "",
    fix: str = "",
    files: Iterable[str] = (),
    count: int | None = None,
    cases: int | None = None,
    proposal: dict[str, Any] | None = None,
    severity: Severity | None = None,
) -> Finding:
    """Return a finding of a kind in a table of codes, which says how serious it is.

    Args:
        codes: The table.
        code: One of its codes.
        where: As in `Finding`, like the following.
        found: What was found.
        expected: What was expected.
        fix: What the user can do.
        files: The affected files; the first `MOST_FILES` are named.
        count: Number of affected files, if not all are given.
        cases: Number of occurrences if a file can have several.
        proposal: Part of `dataset.yaml` that resolves it.
        severity: The kind's other severity, where that applies.
    """
    kind, names = codes[code], list(files)
    assert severity in (None, kind.severity, kind.also), f"{code} cannot be {severity}"
    return Finding(
        code,
        severity or kind.severity,
        where,
        found,
        expected,
        fix,
        proposal,
        files=tuple(names[:MOST_FILES]),
        count=max(1, len(names)) if count is None else count,
        cases=cases,
    )
