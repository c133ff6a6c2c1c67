"""One thing that `limner doctor` looked at, and how it was found."""

from dataclasses import dataclass
from typing import Literal

State = Literal["good", "note", "warning", "broken"]


@dataclass(frozen=True)
class Exam:
    """One thing that was looked at.

    Attributes:
        group: The heading it stands under, such as ``accelerator``.
        name: What was looked at.
        found: What is there.
        state: ``good``; ``note`` for what is absent and not needed; ``warning`` for what will slow or
            limit a run; ``broken`` for what will stop it.
        fix: What to do about it; empty where nothing needs doing.
    """

    group: str
    name: str
    found: str
    state: State = "good"
    fix: str = ""
