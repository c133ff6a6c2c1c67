"""The rule of exit codes, for every command; docs/index.md states it."""

import pytest

from limner.cli.app import app
from limner.core.errors import WriteError
from limner.storage.remote_requests import UnreachableError

MISSING = "no such/place"
REFUSED = {
    "check": [MISSING],
    "browse": [MISSING],
    "stats": [MISSING],
    "split": [MISSING],
    "convert": [MISSING, "out", "--to", "yolo"],
    "plan": [MISSING],
    "train": [MISSING],
    "evaluate": [MISSING],
    "predict": [MISSING, "a.png", "--out", "out"],
    "serve": [MISSING],
    "report": [MISSING],
    "compare": [MISSING],
    "explain": [MISSING, "a.png"],
    "export": [MISSING, "--out", "out"],
    "import": [MISSING, "--out", "out"],
    "measure": [MISSING],
    "compare-networks": [MISSING, "--networks", "unet"],
    "tune": [MISSING],
}
TAKE_NO_FILES = {"networks", "doctor", "demo"}


@pytest.mark.parametrize("command", REFUSED)
def test_a_command_that_stops_ends_with_2_and_says_why(command, command_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command_line(command, *REFUSED[command])
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("limner: ") and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_command_is_tried():
    names = {
        command.name or command.callback.__name__.replace("_", "-") for command in app.registered_commands
    }
    assert names == REFUSED.keys() | TAKE_NO_FILES


@pytest.mark.parametrize(
    "error", [WriteError("a.png", "no space left on the disk"), UnreachableError("late")]
)
def test_what_may_be_missing_without_a_mistake_of_the_user_ends_with_1(error, command_line, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("limner.cli.app.app", fail)
    assert command_line("predict").returncode == 1
