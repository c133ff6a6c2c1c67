from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from limner.cli.option_groups import with_option_groups


@dataclass(frozen=True)
class Paper:
    """Options of two fields."""

    colour: Annotated[str, typer.Option(help="Colour of the sheet.")] = "white"
    sides: Annotated[list[int] | None, typer.Option("--side", help="Lengths.")] = None


@pytest.fixture(scope="module")
def call():
    """Runs a command with a group, and returns what it received and printed."""
    app, received = typer.Typer(), []

    @app.command()
    @with_option_groups
    def fold(
        name: Annotated[str, typer.Argument()],
        *,
        paper: Paper,
        twice: Annotated[bool, typer.Option("--twice")] = False,
    ) -> None:
        """Fold paper."""
        received.append((name, paper, twice))

    def run(*words):
        received.clear()
        result = CliRunner().invoke(app, words)
        return result, list(received)

    return run


def test_the_command_receives_the_group(call):
    words = ("boat", "--colour", "red", "--twice", "--side", "3", "--side", "4")
    assert call(*words)[1] == [("boat", Paper("red", [3, 4]), True)]


def test_options_that_are_not_given_have_the_defaults_of_the_fields(call):
    assert call("boat")[1] == [("boat", Paper(), False)]


def test_the_help_lists_fields_as_options_at_their_place(call):
    text = call("--help")[0].stdout
    assert "Fold paper." in text and "Colour of the sheet." in text and "--paper" not in text
    assert text.index("--colour") < text.index("--side") < text.index("--twice")


def test_a_value_of_the_wrong_type_is_refused(call):
    result, received = call("boat", "--side", "x")
    assert result.exit_code == 2 and not received and "--side" in result.output
