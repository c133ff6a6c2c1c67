"""A killed and resumed run ends with the bytes of the uninterrupted one, and with its log."""

import csv
import signal

import pytest
import yaml

from limner.core.errors import ConfigError, ModelError
from limner.core.run_folder import RunFolder
from limner.training.checkpoints import Checkpoints

EVERYTHING = (
    "train.accumulate=2",
    "train.ema_decay=0.9",
    "train.gradient_clip=1.0",
    "schedule.name=plateau",
    "schedule.patience=1",
    "schedule.warmup_steps=3",
    "optimizer.weight_decay=0.05",
)
"""Accumulation, averaging, clipping and a schedule with a memory; the network itself has dropout."""


def weights(folder):
    return (folder / "model" / "weights.safetensors").read_bytes()


def rows(folder, *, times=False):
    """The rows of metrics.csv without what a clock measured."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [(r["step"], r["name"], r["value"]) for r in csv.DictReader(file) if "seconds" not in r["name"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "kill"),
    [
        (EVERYTHING, 13),  # saved at 12, validated at 10
        (EVERYTHING, 2),  # before the first checkpoint
        (("optimizer.name=sgd", "optimizer.learning_rate=0.05"), 19),
        (("optimizer.name=adam", "schedule.name=one_cycle"), 16),
    ],
)
def test_killed_and_resumed_with_other_workers_is_bit_for_bit_the_same(tmp_path, run_script, settings, kill):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run_script(whole, "train.workers=2", *settings).returncode == 0

    killed = run_script(broken, "train.workers=1", *settings, f"kill={kill}")
    assert killed.returncode == -signal.SIGKILL
    assert not (broken / "model").exists()
    resumed = run_script(broken, "--resume", "train.workers=0", *settings)

    assert resumed.returncode == 0, resumed.stderr
    assert weights(broken) == weights(whole)
    assert rows(broken) == rows(whole)


@pytest.mark.slow
def test_killed_twice_at_the_same_place(tmp_path, run_script):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run_script(whole, *EVERYTHING)
    run_script(broken, *EVERYTHING, "kill=7")
    run_script(broken, "--resume", *EVERYTHING, "kill=15")
    run_script(broken, "--resume", *EVERYTHING, "kill=18")
    run_script(broken, "--resume", *EVERYTHING)
    assert weights(broken) == weights(whole)
    assert rows(broken) == rows(whole)


def test_the_seed_matters(tmp_path, tiny):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        tiny.run_tiny(tmp_path / name, tiny.tiny_plan(train={"seed": seed, "steps": 4}))
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


def test_resuming_a_finished_run_changes_nothing(tmp_path, tiny):
    plan = tiny.tiny_plan(train={"steps": 6})
    first = tiny.run_tiny(tmp_path, plan)
    before, log = weights(tmp_path), (tmp_path / "metrics.csv").read_text()
    again = tiny.run_tiny(tmp_path, plan, resume=True)
    assert weights(tmp_path) == before
    assert (tmp_path / "metrics.csv").read_text() == log
    assert (again.steps, again.best_score, again.best_step) == (6, first.best_score, first.best_step)


def test_a_half_written_checkpoint_is_said_and_the_best_one_taken(tmp_path, tiny):
    plan = tiny.tiny_plan(train={"steps": 12})
    tiny.run_tiny(tmp_path / "whole", plan)
    tiny.run_tiny(tmp_path / "run", plan)
    checkpoints = Checkpoints(RunFolder(tmp_path / "run").checkpoints)
    cut = checkpoints.last.read_bytes()[:-100]  # what a disk gives back after a power cut without fsync
    checkpoints.last.unlink()  # `best` may be the same file
    checkpoints.last.write_bytes(cut)
    if checkpoints.latest()[0].state.step == 12:
        pytest.skip("the last checkpoint was the best, so nothing would be left to train")

    said = []

    class Listener(tiny.Watcher):
        def say(self, message):
            said.append(message)

    tiny.run_tiny(tmp_path / "run", plan, resume=True, watchers=[Listener()])
    assert "last.safetensors" in said[0]
    assert "goes on from the best checkpoint" in said[0]
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_only_damaged_checkpoints_stop_the_resume(tmp_path, tiny):
    plan = tiny.tiny_plan(train={"steps": 2})
    tiny.run_tiny(tmp_path, plan)
    for path in (tmp_path / "checkpoints").iterdir():
        path.write_bytes(b"\x10" + bytes(7) + b"no header at all")
    with pytest.raises(ModelError, match=r"last\.safetensors(.|\n)*best\.safetensors"):
        tiny.run_tiny(tmp_path, plan, resume=True)


def test_a_changed_plan_is_refused_and_named(tmp_path, tiny):
    tiny.run_tiny(tmp_path, tiny.tiny_plan(train={"steps": 2}))
    with pytest.raises(ConfigError, match=r"optimizer\.learning_rate was 0\.01 and is 0\.02"):
        tiny.run_tiny(
            tmp_path, tiny.tiny_plan(train={"steps": 2}, optimizer={"learning_rate": 0.02}), resume=True
        )


def test_a_fresh_run_takes_nothing_from_the_folder(tmp_path, tiny):
    tiny.run_tiny(tmp_path, tiny.tiny_plan(train={"steps": 8}))
    result = tiny.run_tiny(tmp_path, tiny.tiny_plan(train={"steps": 2}))
    assert result.steps == 2
    assert max(int(step) for step, _, _ in rows(tmp_path)) == 2
    assert yaml.safe_load((tmp_path / "plan.yaml").read_text())["train"]["steps"] == 2
