"""Result of one check of `limner doctor`."""

from dataclasses import dataclass
from typing import Literal

State = Literal["good", "note", "warning", "broken"]


@dataclass(frozen=True)
class Exam:
    """Result of one check of `limner doctor`.

    Attributes:
        group: Heading, such as ``accelerator``.
        name: What was checked.
        found: What was found.
        state: ``good``; ``note`` if something optional is missing; ``warning`` if it will slow down or
            limit a run; ``broken`` if it will prevent a run.
        fix: What to do; empty if no action is needed.
    """

    group: str
    name: str
    found: str
    state: State = "good"
    fix: str = ""
