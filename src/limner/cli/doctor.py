"""`limner doctor`: check of machine and installation."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from limner.api.doctor import Diagnosis

SIGNS = {"good": "ok", "note": "-", "warning": "warning", "broken": "broken"}
STYLE_NAMES = {"good": "good", "note": "muted", "warning": "warning", "broken": "error"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the diagnosis as JSON.")] = False,
) -> None:
    """Check this machine and this installation.

    Checks Python, PyTorch, accelerator, memory, disk and optional libraries.
    """
    from limner.api.doctor import doctor as examine

    diagnosis = examine()
    if as_json:
        print(json.dumps(diagnosis.to_dict(), indent=2))
    else:
        _show(diagnosis)
    if not diagnosis.is_healthy:
        raise typer.Exit(1)


def _show(diagnosis: "Diagnosis") -> None:
    from rich.text import Text

    from limner.cli.console import console, table

    shown = table("", "part", "found", "to fix or install")
    group = diagnosis.exams[0].group
    for exam in diagnosis.exams:
        if exam.group != group:
            shown.add_section()
        group = exam.group
        sign = Text(SIGNS[exam.state], style=STYLE_NAMES[exam.state])
        shown.add_row(sign, exam.name, exam.found, Text(exam.fix))
    console().print(shown)
    console().print(diagnosis.verdict, style="good" if diagnosis.is_healthy else "error")
