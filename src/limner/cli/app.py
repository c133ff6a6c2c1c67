"""The command line: `limner VERB ...`; each verb is one file beside this one."""

import sys
from io import TextIOWrapper

import typer

from limner.cli.check import check
from limner.cli.demo import demo
from limner.cli.doctor import doctor
from limner.cli.evaluate import evaluate
from limner.cli.networks import networks
from limner.cli.plan import plan
from limner.cli.predict import predict
from limner.cli.report import report
from limner.cli.train import train
from limner.core.errors import LimnerError

app = typer.Typer(
    name="limner",
    help="Turn your own labelled images into trained, measured, deployable vision models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for verb in (check, plan, train, evaluate, predict, report, networks, doctor, demo):
    app.command()(verb)


def main() -> None:
    """Run the command line; an error the user can mend is a message on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a file's name may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except LimnerError as error:
        print(f"limner: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("limner: stopped by the keyboard", file=sys.stderr)
        sys.exit(130)
