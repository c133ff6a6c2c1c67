"""The shared look of the command line: literal text, right streams, progress with and without a terminal."""

import subprocess
import sys

import pytest

from limner.cli import console as look
from limner.core.finding import Severity


@pytest.fixture(autouse=True)
def _fresh_consoles():
    look.console.cache_clear()
    look.messages.cache_clear()
    yield
    look.console.cache_clear()
    look.messages.cache_clear()


def test_text_in_brackets_is_no_markup(capsys):
    look.console().print("mask [/red] of [b]x[/b] :smile:")
    assert capsys.readouterr().out == "mask [/red] of [b]x[/b] :smile:\n"


def test_table_cells_and_headings_are_literal_and_long_ones_stay_whole(capsys):
    path = "a/" * 60 + "[bold]mask.png"
    made = look.table("file", "[red]px", numbers=["[red]px"], title="[/i]Files")
    made.add_row(path, "12")
    look.console().print(made)
    out = capsys.readouterr().out
    assert path in out and "[red]px" in out and "[/i]Files" in out


def test_numbers_are_aligned_at_the_right(capsys):
    made = look.table("pixels", "name", numbers=["pixels"])
    made.add_row("7", "cell")
    made.add_row("1000", "background")
    look.console().print(made)
    lines = capsys.readouterr().out.splitlines()
    seven = next(line for line in lines if "cell" in line)
    thousand = next(line for line in lines if "background" in line)
    assert seven.index("7") == thousand.index("1000") + 3


def test_tracker_passes_items_through_and_speaks_on_stderr_only(capsys):
    assert list(look.tracker()(iter("abc"), "Reading images", 3)) == ["a", "b", "c"]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Reading images: 3 of 3" in captured.err


def test_unwatched_progress_speaks_now_and_then(capsys, monkeypatch):
    # A clock that advances 10 s each time it is read: began at 10; after item 1 it is 20 (10 s since the
    # last line, silent), after item 2 it is 30 (20 s, speaks), after item 3 40 (silent).
    ticks = iter(range(10, 1000, 10))
    monkeypatch.setattr(look.time, "monotonic", lambda: next(ticks))
    list(look._lines(range(3), "Work", 3))
    assert capsys.readouterr().err.splitlines() == ["Work: 2 of 3, about 10 s left", "Work: 3 of 3, 40.0 s"]


def test_bar_ends_cleanly_when_the_work_fails():
    def broken():
        yield 1
        raise ValueError("bad image")

    with pytest.raises(ValueError, match="bad image"):
        list(look._bar(broken(), "Reading", 2))


def test_every_severity_has_a_mark_and_a_style():
    for severity in Severity:
        assert look.mark(severity).style in look.STYLES


def test_importing_the_console_does_not_import_rich():
    code = "import sys, limner.cli.console; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
