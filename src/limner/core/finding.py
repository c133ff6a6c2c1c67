"""Findings: what a check has to say about a dataset, as data rather than as print."""

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

MOST_FILES = 20
"""A finding names at most so many files; its `count` tells how many there are."""


class Severity(str, Enum):
    """How much a finding matters: errors stop training, warnings and notes do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing a check found.

    Attributes:
        code: Stable name in kebab-case, such as ``mask-is-jpeg``; documented in docs/checks.md.
        severity: Errors stop training.
        where: The file, folder or class it is about, as the user would write it.
        found: What is there, one sentence.
        expected: What should be there.
        fix: What the user can do about it.
        proposal: The part of `dataset.yaml` that would settle it; ``limner check --accept`` writes it.
        files: Up to `MOST_FILES` files concerned, relative to the dataset folder.
        count: How many files are concerned in all.
        cases: How often it was met, where a file can have it several times; else None.
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
