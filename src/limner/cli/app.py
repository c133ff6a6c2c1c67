"""Command line `limner COMMAND ...`; each command is a file in this folder."""

import errno
import os
import signal
import sys
from collections.abc import Callable
from io import TextIOWrapper

import typer

import limner
from limner.cli.browse import browse
from limner.cli.check import check
from limner.cli.compare import compare
from limner.cli.compare_networks import compare_networks
from limner.cli.convert import convert
from limner.cli.demo import demo
from limner.cli.doctor import doctor
from limner.cli.evaluate import evaluate
from limner.cli.explain import explain
from limner.cli.export import export
from limner.cli.import_checkpoint import import_checkpoint
from limner.cli.measure import measure
from limner.cli.networks import networks
from limner.cli.plan import plan
from limner.cli.predict import predict
from limner.cli.report import report
from limner.cli.serve import serve
from limner.cli.split import split
from limner.cli.stats import stats
from limner.cli.train import train
from limner.cli.tune import tune
from limner.core.errors import LimnerError, StoppedBySignal
from limner.core.printable import printable

NAMES: dict[Callable[..., None], str] = {import_checkpoint: "import"}
"""Commands whose names are reserved words in Python."""

NO_OUTPUT = (errno.EPIPE, errno.ENOSPC, errno.EBADF, errno.EIO)
"""Errors of standard output; those of files name their file."""

app = typer.Typer(
    name="limner",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: importing rich takes half of the 0.3 s allowed for help
    pretty_exceptions_enable=False,
)
for verb in (
    *(check, browse, stats, split, convert),
    *(plan, train, evaluate, predict, serve, report),
    *(compare, explain, export, networks, import_checkpoint, measure, compare_networks, tune, doctor, demo),
):
    app.command(NAMES.get(verb))(verb)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it
    if wanted:
        print(f"limner {limner.__version__}")
        raise typer.Exit


@app.callback()
def limner_command(
    version: bool = typer.Option(
        False, "--version", help="Print the version.", is_eager=True, callback=_show_version
    ),
) -> None:
    """Turn your own labelled images into trained, measured, deployable vision models.

    Start with `limner demo`, or with your own images: `limner check FOLDER`, then `limner train FOLDER`.
    """


def main() -> None:
    """Run the command line; an error that the user can fix is printed to stderr.

    The exit code is 0 if everything was done; 1 if a part is missing, such as images that cannot be read, or
    files that a full disk refused; 2 if the command stopped and something has to be changed first: its words,
    the data, the model or the machine; and 128 plus the number of the signal that stopped it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, TextIOWrapper
        ):  # file names may contain characters that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    # Before PyTorch is loaded: its threads sleep while they wait for each other, so that other programs and
    # the thread that is waited for get the core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    code = _run()
    try:
        sys.stdout.flush()
    except OSError as error:
        code = _without_output(error)
    sys.exit(code)


def _run() -> int | str | None:
    """Run the command, and return its exit code."""
    try:
        app()
    except SystemExit as ended:
        return ended.code
    except LimnerError as error:
        print(f"limner: {printable(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as error:
        number = error.number if isinstance(error, StoppedBySignal) else signal.SIGINT
        by = "the keyboard" if number == signal.SIGINT else signal.Signals(number).name
        print(f"limner: stopped by {by}", file=sys.stderr)
        return 128 + number
    except OSError as error:
        if error.filename is None and error.errno in NO_OUTPUT:
            return _without_output(error)
        raise
    return 0


def _without_output(error: OSError) -> int:
    """Return the exit code if standard output is closed or full; what was computed is on disk."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it again at its end
    if error.errno != errno.EPIPE:  # closed by the reader, such as in `limner check | head -1`
        print(f"limner: standard output cannot be written: {error.strerror}", file=sys.stderr)
    return 1
