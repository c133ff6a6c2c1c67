"""A killed and resumed run ends with the bytes of the uninterrupted one, and with its log."""

import csv
import signal

import pytest
import torch
import yaml

from limner.core.config import merge, parse_assignment
from limner.core.errors import ConfigError, ModelError
from limner.core.run_folder import RunFolder
from limner.core.watchers import Watcher
from limner.networks import build_network
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
        return [
            (r["step"], r["name"], r["value"]) for r in csv.DictReader(file) if "seconds" not in r["name"]
        ]


@pytest.fixture(autouse=True)
def _one_thread():
    """The number of threads decides the order of sums, so both processes have one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def plan_of(tiny, assignments, **train):
    settings = {"train": train}
    for assignment in assignments:
        settings = merge(settings, parse_assignment(assignment))
    return tiny.tiny_plan(**settings)


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
def test_killed_and_resumed_with_other_workers_is_bit_for_bit_the_same(
    tmp_path, tiny, run_forked, settings, kill
):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    tiny.run_tiny(whole, plan_of(tiny, settings, workers=2))

    assert run_forked(broken, "train.workers=1", *settings, f"kill={kill}") == -signal.SIGKILL
    assert not (broken / "model").exists()
    tiny.run_tiny(broken, plan_of(tiny, settings, workers=0), resume=True)

    assert weights(broken) == weights(whole)
    assert rows(broken) == rows(whole)


class StopAt(Watcher):
    """Ends a run in this process right after a step, before anything is saved of it."""

    def __init__(self, step):
        self._step = step

    def step(self, moment):
        if moment.step == self._step:
            raise InterruptedError


def run_until(step, tiny, folder, plan, **options):
    with pytest.raises(InterruptedError):
        tiny.run_tiny(folder, plan, watchers=[StopAt(step)], **options)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("steps", [(7, 15, 18), (1,), (5, 6, 7, 8, 9, 10, 11)])
def test_stopped_again_and_again(tmp_path, tiny, steps, precision):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    plan = plan_of(tiny, EVERYTHING, precision=precision)
    tiny.run_tiny(whole, plan)
    for position, step in enumerate(steps):
        run_until(step, tiny, broken, plan, resume=position > 0)
    tiny.run_tiny(broken, plan, resume=True)
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
    plan = tiny.tiny_plan()
    tiny.run_tiny(tmp_path / "whole", plan)
    run_until(9, tiny, tmp_path / "run", plan)  # the best is of step 5, the last of step 8
    checkpoints = Checkpoints(RunFolder(tmp_path / "run"))
    checkpoints.last.write_bytes(checkpoints.last.read_bytes()[:-100])

    said = []

    class Listener(Watcher):
        def say(self, message):
            said.append(message)

    tiny.run_tiny(tmp_path / "run", plan, resume=True, watchers=[Listener()])
    assert "last.safetensors" in said[0]
    assert "continues from previous.safetensors, of step 5" in said[0]
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


def test_a_network_of_queries_draws_the_same_points_after_a_stop(tmp_path, tiny):
    sizes = {"channels": 32, "num_queries": 4, "pixel_layers": 1, "decoder_layers": 1}
    plan = plan_of(tiny, ["loss.terms=[{name: segment_set, options: {num_points: 50}}]"], steps=6)

    def run(folder, **options):
        torch.manual_seed(0)
        network = build_network(
            "mask2former", num_classes=2, pretrained="no", backbone="resnet18_width16", heads=2, **sizes
        )
        return tiny.run_tiny(folder, plan, network=network, **options)

    run(tmp_path / "whole")
    with pytest.raises(InterruptedError):
        run(tmp_path / "broken", watchers=[StopAt(5)])
    run(tmp_path / "broken", resume=True)
    assert weights(tmp_path / "broken") == weights(tmp_path / "whole")
    assert rows(tmp_path / "broken") == rows(tmp_path / "whole")
