"""`import limner` offers the verbs of the command line, and nothing else."""

import limner
from limner.cli.app import app

ONLY_IN_PYTHON = {"load", "cross_validate"}  # a command's `--folds`
ONLY_COMMANDS = {"networks"}  # prints a table


def test_functions_are_the_commands():
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    functions = {"import_checkpoint" if name == "import" else name for name in commands}
    assert set(dir(limner)) == functions - ONLY_COMMANDS | ONLY_IN_PYTHON


def test_each_is_a_documented_function():
    for name in dir(limner):
        verb = getattr(limner, name)
        assert callable(verb) and verb.__doc__ and verb.__module__.startswith("limner.api."), name
