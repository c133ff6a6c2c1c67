"""How every verb looks in the terminal: one console, one style of table, one progress bar.

Results go to stdout and progress to stderr, so that ``limner ... > file`` keeps only the result. Where
nobody watches (a pipe, a log, CI), tables lose colour and are never folded, and the bar becomes a line
now and then. Text is printed literally: a file called ``[/red].png`` is no markup. To emphasise, pass
``style="heading"`` and the like to ``console().print``; the names are in `STYLES`.

rich is imported when something is first shown; `limner --help` does without it.
"""

import sys
import time
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, TextIO, TypeVar

from limner.core.finding import Severity
from limner.core.progress import Track

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table
    from rich.text import Text

T = TypeVar("T")

STYLES = {
    "heading": "bold",
    "muted": "dim",
    "good": "green",
    "error": "bold red",
    "warning": "yellow",
    "note": "cyan",
    "path": "cyan",
}
"""The words for emphasis; only the 16 terminal colours, so that they suit light and dark themes."""

MARKS = {Severity.ERROR: ("✗", "x"), Severity.WARNING: ("▲", "!"), Severity.NOTE: ("•", "-")}
"""The sign before a finding, and the same for terminals that only know ASCII."""

UNWATCHED_WIDTH = 240
"""Columns where the output is no terminal: wide enough that no path or table is folded."""

UNWATCHED_SECONDS = 15.0
"""Time between two progress lines where the output is no terminal."""


@cache
def console() -> "Console":
    """Return the console for results, on stdout."""
    return _new_console(stderr=False)


@cache
def messages() -> "Console":
    """Return the console for progress and asides, on stderr."""
    return _new_console(stderr=True)


def table(*columns: str, numbers: Collection[str] = (), title: str = "") -> "Table":
    """Return an empty table in limner's style; fill it with ``add_row`` and print it on `console`.

    Args:
        columns: The headings.
        numbers: Those of the headings whose cells are numbers, which are aligned at the right.
        title: A line above, or none.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(
        title=Text(title, style="heading") if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        header_style="muted",
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for name in columns:
        is_number = name in numbers
        made.add_column(
            Text(name), justify="right" if is_number else "left", no_wrap=is_number, overflow="fold"
        )
    return made


def mark(severity: Severity) -> "Text":
    """Return the coloured sign that stands before a finding of this severity."""
    from rich.text import Text

    sign, plain = MARKS[severity]
    can_show = console().encoding.lower().startswith("utf")
    return Text(sign if can_show else plain, style=severity.value)


def tracker() -> Track:
    """Return the progress display of this terminal: a bar, or plain lines where nobody watches."""
    return _bar if messages().is_terminal else _lines


def _new_console(*, stderr: bool) -> "Console":
    from rich.console import Console
    from rich.theme import Theme

    stream: TextIO = sys.stderr if stderr else sys.stdout
    watched = stream.isatty()
    return Console(
        stderr=stderr,
        theme=Theme(STYLES),
        markup=False,
        emoji=False,
        highlight=False,
        width=None if watched else UNWATCHED_WIDTH,
    )


def _bar(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    progress = _new_progress()
    task = progress.add_task(what, total=total)
    with progress:
        for item in items:
            yield item
            progress.advance(task)


def _new_progress() -> "Progress":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28, style="muted", complete_style="cyan", finished_style="good"),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=messages(),
        # A piped stdout must not be drawn into the bar on stderr.
        redirect_stdout=sys.stdout.isatty(),
    )


def _lines(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    began = said = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if now - said >= UNWATCHED_SECONDS and done < total:
            said = now
            left = (now - began) / done * (total - done)
            messages().print(f"{what}: {done} of {total}, about {left:.0f} s left")
    messages().print(f"{what}: {done} of {total}, {time.monotonic() - began:.1f} s")
