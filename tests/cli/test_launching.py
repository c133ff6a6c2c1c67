"""What `limner train --devices N --restarts K` starts, and what it makes of deaths; nothing is trained."""

import signal
import sys

import pytest

from limner.cli.app import main
from limner.devices import launcher
from limner.devices.launcher import Death


def death(code, *, rank=1, is_wanted=False):
    return Death(rank, 2, code, ("the last line",), is_wanted)


@pytest.fixture
def launch(monkeypatch, tmp_path):
    """Run a command line whose processes end as given; returns the exit code and what was started."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    for name in ("LIMNER_LAUNCHED", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)

    def run(words, *ends):
        started, ends = [], list(ends)

        def run_together(command, count, *, attempt):
            started.append((command, count, attempt))
            return ends.pop(0)

        monkeypatch.setattr(launcher, "run_together", run_together)
        monkeypatch.setattr(sys, "argv", ["limner", *words.split()])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, started

    return run


def test_the_same_command_is_started_in_each_process(launch):
    words = "train --devices 3 images --run mine --set train.steps=5"
    code, started = launch(words, None)
    assert code == 0
    assert started == [([sys.executable, "-m", "limner", *words.split()], 3, 0)]


def test_a_new_run_gets_one_name_for_all(launch, tmp_path):
    (tmp_path / "runs" / "images-1").mkdir(parents=True)
    _, started = launch("train images --devices 2", None)
    (command, _, _) = started[0]
    assert command[3:] == ["train", "--run", "runs/images-2", "images", "--devices", "2"]


def test_a_resumed_run_has_its_name(launch):
    _, started = launch("train --resume runs/old --restarts 2", None)
    assert started == [
        ([sys.executable, "-m", "limner", "train", "--resume", "runs/old", "--restarts", "2"], 1, 0)
    ]


def test_deaths_are_reported_and_all_start_again(launch, capsys):
    ends = (death(-signal.SIGKILL), death(1, rank=0), None)
    code, started = launch("train images --run mine --devices 2 --restarts 2", *ends)
    assert code == 0 and [attempt for _, _, attempt in started] == [0, 1, 2]
    said = capsys.readouterr().err
    assert "process 1: the last line" in said
    assert "process 1 of 2 (counted from 0) was killed by SIGKILL" in said
    assert "process 0 of 2 (counted from 0) ended with exit code 1, so the others were ended" in said
    assert "restarting from the last checkpoint (restart 2 of 2)" in said


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ([death(-signal.SIGKILL), death(-signal.SIGKILL)], 137),  # no restart is left
        ([death(2)], 2),  # an error to fix comes again
        ([death(143, is_wanted=True)], 143),  # the user has stopped it
    ],
)
def test_the_exit_code_tells_how_it_ended(launch, ends, code):
    found, started = launch("train images --run mine --devices 2 --restarts 1", *ends)
    assert found == code and len(started) == len(ends)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train images --devices 2 --device cuda:1", "Use --device cuda."),
        ("train images --devices 2 --folds 3", "--folds trains in one process"),
        ("train recipe.yaml --devices 2", "name the run with --run"),
    ],
)
def test_what_does_not_go_together_is_refused(launch, capsys, words, message):
    code, started = launch(words)
    assert code == 2 and not started
    assert message in capsys.readouterr().err


def test_another_launcher_restarts_by_itself(launch, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, started = launch("train images --run mine --restarts 3")
    assert code == 2 and not started
    assert "omit --devices and --restarts" in capsys.readouterr().err
