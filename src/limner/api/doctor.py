"""`limner.doctor()`: check of machine and installation."""

from dataclasses import asdict, dataclass
from typing import Any

import limner
from limner.devices.exam import Exam
from limner.devices.installation import optional_part_exams, python_exam, required_part_exams

SCRIPTS = {"accents": "é", "Greek": "α", "Cyrillic": "ж", "Chinese": "细", "Japanese": "の", "Korean": "한"}
"""A test letter for each script."""


@dataclass(frozen=True)
class Diagnosis:
    """Results of all checks, and the verdict."""

    exams: tuple[Exam, ...]
    verdict: str

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is broken."""
        return all(exam.state != "broken" for exam in self.exams)

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as plain JSON-ready values."""
        return {
            "healthy": self.is_healthy,
            "verdict": self.verdict,
            "exams": [asdict(exam) for exam in self.exams],
        }


def doctor() -> Diagnosis:
    """Check Python, required libraries, accelerator, memory, disk and optional libraries.

    Nothing is downloaded or written. Broken parts are reported, not raised as errors.
    """
    exams = [python_exam(), Exam("limner", "limner", limner.__version__), *required_part_exams()]
    if any(exam.state == "broken" for exam in exams):
        return Diagnosis(tuple(exams), _broken_verdict(exams))
    # The other checks need the required libraries.
    from limner.devices.accelerator_exams import accelerator_exams
    from limner.devices.host_exams import host_exams

    exams += [*accelerator_exams(), *host_exams(), _fonts(), *optional_part_exams()]
    return Diagnosis(tuple(exams), _verdict(exams))


def _fonts() -> Exam:
    """Check whether pictures can show non-Latin class names."""
    from limner.drawing.fonts import can_write

    lacking = [script for script, letter in SCRIPTS.items() if not can_write(letter)]
    if not lacking:
        return Exam("pictures", "fonts", f"for Latin, {', '.join(SCRIPTS)}")
    found = f"none for {', '.join(lacking)}: pictures show such class names as numbers"
    fix = "Install a font such as Noto Sans CJK (Debian, Ubuntu: apt install fonts-noto-cjk)."
    return Exam("pictures", "fonts", found, "note", fix)


def _broken_verdict(exams: list[Exam]) -> str:
    broken = [exam for exam in exams if exam.state == "broken"]
    verdict = f"Broken: {', '.join(exam.name for exam in broken)}. limner cannot run until this is fixed."
    return verdict + _first_fix(broken)


def _verdict(exams: list[Exam]) -> str:
    from limner.devices.accelerator_exams import number_format
    from limner.devices.machine import examine

    if any(exam.state == "broken" for exam in exams):
        return _broken_verdict(exams)
    machine = examine("auto")
    place = f"the CPU ({machine.num_cores} cores)" if machine.is_cpu else machine.name
    verdict = f"Ready: limner trains on {place} in {number_format(machine)}."
    warnings = [exam for exam in exams if exam.state == "warning"]
    if warnings:
        verdict += f" {len(warnings)} warning{'s' if len(warnings) > 1 else ''} above."
    return verdict + _first_fix(warnings)


def _first_fix(exams: list[Exam]) -> str:
    """Return a sentence on what to fix first, to follow others; empty if no action is needed."""
    first = next((exam for exam in exams if exam.fix), None)
    return "" if first is None else f" First: {first.name}: {first.fix}"
