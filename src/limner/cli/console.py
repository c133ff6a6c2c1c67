"""Terminal output of all commands: consoles, tables and progress bars.

Results go to stdout and progress to stderr, so that ``limner ... > file`` contains only the result. Without a
terminal (a pipe, a log, CI), tables have no colour and are never wrapped, and occasional lines replace the
progress bar. Text is printed literally: a file name ``[/red].png`` is not markup, and control characters are
written out. For emphasis, pass ``style="heading"`` or another name in `STYLES` to ``console().print``.

rich is imported on first use; `limner --help` does not need it.
"""

import sys
import time
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, TextIO, TypeVar

from limner.core.finding import Severity
from limner.core.printable import printable
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
"""Names of styles; they use only the 16 terminal colours, which suit light and dark themes."""

MARKS = {Severity.ERROR: ("✗", "x"), Severity.WARNING: ("▲", "!"), Severity.NOTE: ("•", "-")}
"""Sign before a finding, and its replacement for ASCII terminals."""

UNWATCHED_WIDTH = 240
"""Width in columns without a terminal, large enough that no path or table is wrapped."""

UNWATCHED_SECONDS = 15.0
"""Seconds between two progress lines without a terminal."""


@cache
def console() -> "Console":
    """Return the console for results, on stdout."""
    return _new_console(stderr=False)


@cache
def messages() -> "Console":
    """Return the console for progress and messages, on stderr."""
    return _new_console(stderr=True)


def table(*columns: str, numbers: Collection[str] = (), title: str = "") -> "Table":
    """Return an empty table in limner's style; fill it with ``add_row`` and print it on `console`.

    Args:
        columns: Headings.
        numbers: Headings of right-aligned numeric columns.
        title: Line above the table, or an empty string.
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
    """Return the coloured sign before a finding of this severity."""
    from rich.text import Text

    sign, plain = MARKS[severity]
    can_show = console().encoding.lower().startswith("utf")
    return Text(sign if can_show else plain, style=severity.value)


def tracker() -> Track:
    """Return the progress display: a bar, or plain lines without a terminal."""
    return _bar if messages().is_terminal else _lines


def _new_console(*, stderr: bool) -> "Console":
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.theme import Theme

    class PrintableConsole(Console):
        """Writes out control characters in what is printed; those of styles and cursors are rich's own."""

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterator[Segment]:
            for text, style, control in super().render(renderable, options):
                yield Segment(text if control else printable(text), style, control)

    stream: TextIO = sys.stderr if stderr else sys.stdout
    watched = stream.isatty()
    return PrintableConsole(
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
    started = printed = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if now - printed >= UNWATCHED_SECONDS and done < total:
            printed = now
            left = (now - started) / done * (total - done)
            messages().print(f"{what}: {done} of {total}, about {left:.0f} s left")
    messages().print(f"{what}: {done} of {total}, {time.monotonic() - started:.1f} s")
