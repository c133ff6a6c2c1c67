"""Command line `limner COMMAND ...`; each command is a file in this folder."""

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
from limner.cli.import_checkpoint import import_checkpoint
from limner.cli.measure import measure
from limner.cli.networks import networks
from limner.cli.plan import plan
from limner.cli.predict import predict
from limner.cli.report import report
from limner.cli.split import split
from limner.cli.stats import stats
from limner.cli.train import train
from limner.cli.tune import tune
from limner.core.errors import LimnerError
from limner.core.printable import printable

NAMES: dict[Callable[..., None], str] = {import_checkpoint: "import"}
"""Commands whose names are reserved words in Python."""

app = typer.Typer(
    name="limner",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: importing rich takes half of the 0.3 s allowed for help
    pretty_exceptions_enable=False,
)
for verb in (
    *(check, browse, stats, split, convert),
    *(plan, train, evaluate, predict, report),
    *(compare, explain, networks, import_checkpoint, measure, compare_networks, tune, doctor, demo),
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
    """Turn your own labelled images into trained, measured, deployable vision models."""


def main() -> None:
    """Run the command line; an error that the user can fix is printed to stderr, with exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, TextIOWrapper
        ):  # file names may contain characters that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except LimnerError as error:
        print(f"limner: {printable(str(error))}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("limner: stopped by the keyboard", file=sys.stderr)
        sys.exit(130)
