import csv
import math
import os
import signal

import pytest
import torch
import yaml

from limner.core.errors import ConfigError, TrainingError
from limner.core.execution import Execution
from limner.core.watchers import Watcher
from limner.planning.plan_files import read_plan
from limner.training.budget import Budget
from limner.training.checkpoints import read_run_checkpoint
from limner.training.fit import build_model
from limner.training.run_state import RunState
from limner.training.validation import Validation
from limner.weights.bundle import load_model


def logged(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_learns_and_leaves_everything(tmp_path, tiny):
    result = tiny.run_tiny(tmp_path, tiny.tiny_plan(train={"steps": 40, "ema_decay": 0.9}))
    assert result.best_score > 0.8  # the discs are twice as bright as their ground
    names = {row["name"] for row in logged(tmp_path)}
    assert {
        *("train/loss", "train/loss/cross_entropy", "train/learning_rate"),
        *("train/data_seconds", "train/step_seconds"),
        *("val/mean_iou", "val/mean_dice", "val/foreground_dice", "val/pixel_accuracy"),
        *("val/iou/disc", "val/dice/disc"),
    } <= names
    assert {p.name for p in tmp_path.iterdir()} == {"checkpoints", "metrics.csv", "model", "plan.yaml"}
    model = load_model(tmp_path / "model", tiny.TinyNetwork())
    assert model.plan.train.steps == 40
    card = yaml.safe_load((tmp_path / "model" / "model.json").read_text())
    assert card["origin"]["weights_of_step"] == result.best_step


def test_the_model_is_the_best_one_not_the_last(tmp_path, tiny, monkeypatch):
    scores = iter([0.1, 0.9, 0.5, 0.2])
    monkeypatch.setattr(Validation, "scores", lambda *_: {"foreground_dice": next(scores)})
    weights = {}

    class Snapshot(Watcher):
        def step(self, moment):
            weights[moment.step] = {k: v.clone() for k, v in network.state_dict().items()}

    torch.manual_seed(1)
    network = tiny.TinyNetwork()
    result = tiny.run_tiny(tmp_path, tiny.tiny_plan(), network=network, watchers=[Snapshot()])
    assert (result.best_step, result.best_score) == (10, 0.9)  # validated at 5, 10, 15, 20
    kept = load_model(tmp_path / "model", tiny.TinyNetwork()).network.state_dict()
    assert all(torch.equal(kept[name], value) for name, value in weights[10].items())
    assert not all(torch.equal(kept[name], value) for name, value in weights[20].items())


def test_early_stopping_counts_validations_without_a_better_score(tmp_path, tiny, monkeypatch):
    scores = iter([0.5, 0.6, 0.6, float("nan"), 0.9])
    monkeypatch.setattr(Validation, "scores", lambda *_: {"foreground_dice": next(scores)})
    plan = tiny.tiny_plan(train={"steps": 100, "early_stopping": 2})
    result = tiny.run_tiny(tmp_path, plan)
    assert result.stopped_early
    assert (result.steps, result.best_step) == (20, 15)  # validated at 5, 10, 15, 20: the last of the best


def test_the_last_weights_are_kept_where_all_scores_are_equal(tmp_path, tiny, monkeypatch):
    """As long as a detector finds nothing, all scores are 0, and its first weights are the worst."""
    monkeypatch.setattr(Validation, "scores", lambda *_: {"foreground_dice": 0.0})
    result = tiny.run_tiny(tmp_path, tiny.tiny_plan())
    assert (result.best_step, result.best_score) == (result.steps, 0.0)


def test_plateau_drops_by_patience():
    # Patience 2: no better score twice gives a drop, and counting begins anew.
    state = RunState()
    drops = []
    for score in (0.5, 0.4, 0.4, 0.4, 0.6, 0.6, 0.6):
        state.judge(score, patience=2)
        drops.append(state.drops)
    assert drops == [0, 0, 1, 1, 1, 1, 2]


def test_layers_that_follow_training_are_told_to_its_end(tmp_path, tiny):
    plan = tiny.tiny_plan(train={"ema_decay": 0.9})
    result = tiny.run_tiny(tmp_path, plan, val=None)
    checkpoint = read_run_checkpoint(result.run.checkpoints / "last.safetensors")
    for part in ("model", "average"):  # the gain falls from 1.5 to 1, and is no average of its past
        assert checkpoint.part(part)["network.fading.gain"] == 1


def test_without_validation_images_the_last_weights_are_kept(tmp_path, tiny):
    result = tiny.run_tiny(tmp_path, tiny.tiny_plan(), val=None)
    assert (result.best_score, result.best_step, result.scores) == (None, 20, {})
    assert not any(row["name"].startswith("val/") for row in logged(tmp_path))


def test_a_time_budget_is_kept_and_the_plan_says_what_was_run(tmp_path, tiny):
    plan = tiny.tiny_plan(train={"steps": 10_000, "minutes": 2 / 60, "validate_every": 2_500})
    result = tiny.run_tiny(tmp_path, plan)
    assert 1.8 <= result.seconds <= 3.0  # a shared machine may pause for longer than a tenth of 2 s
    written = yaml.safe_load((tmp_path / "plan.yaml").read_text())
    assert written["train"]["steps"] == result.steps < 10_000
    rates = [float(row["value"]) for row in logged(tmp_path) if row["name"] == "train/learning_rate"]
    assert rates[0] > 0.008
    assert rates[-1] < 0.002  # the whole schedule was followed


class SteppedBudget(Budget):
    """A budget on a clock of its own, on which each step takes 2 / 250.3 s, and all else no time."""

    def __init__(self, plan):
        self.now, self.at = 0.0, 0
        super().__init__(plan, clock=lambda: self.now)

    def progress(self, step):
        self.now, self.at = self.now + (step - self.at) * 2 / 250.3, step
        return super().progress(step)

    def resume(self, state):
        super().resume(state)
        self.at = state.step


def test_what_hangs_on_the_number_of_steps_follows_the_clock(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr("limner.training.fit.Budget", SteppedBudget)
    monkeypatch.setattr(Validation, "estimate_seconds", lambda *_: 0.05)
    planned = {
        "steps": 10_000,
        "minutes": 2 / 60,
        "validate_every": 2_500,
        "batch_size": 8,
        "ema_decay": 0.998,
    }
    plan = tiny.tiny_plan(train=planned, optimizer={"learning_rate": 1e-3}, schedule={"warmup_steps": 500})
    result = tiny.run_tiny(tmp_path, plan)
    state = read_run_checkpoint(tmp_path / "checkpoints" / "last.safetensors").state
    assert 240 <= state.expected_steps <= 260  # with what the last validation is estimated to take
    assert result.steps == 250  # the time ends 0.3 steps later
    run = yaml.safe_load((tmp_path / "plan.yaml").read_text())
    span = max(0.05 * state.expected_steps, 10)
    assert run["train"]["ema_decay"] == pytest.approx(1 - 1 / span, abs=1e-4)
    assert run["schedule"]["warmup_steps"] == math.ceil(500 * result.steps / 10_000)
    assert tiny.run_tiny(tmp_path, read_plan(tmp_path / "plan.yaml"), resume=True).steps == result.steps


def test_the_callers_random_numbers_go_on(tmp_path, tiny):
    network, (train, _) = tiny.TinyNetwork(), tiny.datasets()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    plan, run = tiny.tiny_plan(train={"steps": 1}), tiny.RunFolder(tmp_path)
    tiny.fit(plan, train=train, val=None, run=run, network=network, execution=Execution("cpu"))
    assert torch.equal(torch.rand(3), expected)


def test_a_file_that_cannot_be_read_is_named(tmp_path, tiny, monkeypatch):
    from limner.core.errors import DataError

    def broken(self, record):
        raise DataError(f"The image cannot be read: {record.name}.png")

    monkeypatch.setattr(tiny.DrawnSource, "read_image", broken)
    with pytest.raises(DataError, match=r"disc_\d\.png"):
        tiny.run_tiny(tmp_path, tiny.tiny_plan())


def test_an_unknown_device_is_refused(tmp_path, tiny):
    with pytest.raises(ConfigError, match="warp"):
        tiny.run_tiny(tmp_path, tiny.tiny_plan(), device="warp")
    with pytest.raises(ConfigError, match="float16 needs an accelerator"):
        tiny.run_tiny(tmp_path, tiny.tiny_plan(train={"precision": "float16"}))


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_polite_stop_saves_the_step_it_is_at(tmp_path, tiny, kind):
    said = []

    class Stop(Watcher):
        def step(self, moment):
            if moment.step == 7:
                os.kill(os.getpid(), kind)

        def say(self, message):
            said.append(message)

    plan = tiny.tiny_plan()
    before = signal.signal(kind, signal.default_int_handler)  # nohup and shells let some be ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            tiny.run_tiny(tmp_path, plan, watchers=[Stop()])
        assert signal.getsignal(kind) == signal.default_int_handler
    finally:
        signal.signal(kind, before)
    assert "Stopped after step 7" in said[-1]
    assert tiny.run_tiny(tmp_path, plan, resume=True).steps == 20


def test_weights_that_cannot_be_had_are_said_and_noted(tiny, monkeypatch):
    from limner.weights.model import Model

    first = Model.from_plan.__func__

    def from_plan(cls, plan, network=None, *, pretrained=False):
        if pretrained:
            torch.rand(7)  # the failed attempt draws numbers
            raise ConfigError("The pretrained weights of resnet18 are unavailable")
        return first(cls, plan, network)

    monkeypatch.setattr(Model, "from_plan", classmethod(from_plan))
    plan = tiny.tiny_plan(network={"name": "unet", "pretrained": "auto", "options": {}})
    said = []
    model = build_model(plan, say=said.append)
    assert "random weights" in said[0]
    assert model.plan.network.pretrained == "no"
    scratch = build_model(tiny.tiny_plan(), say=said.append)
    pairs = zip(model.state_dict().values(), scratch.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    with pytest.raises(ConfigError):
        build_model(tiny.tiny_plan(network={"pretrained": "yes"}), say=said.append)


def test_a_disk_that_is_full_stops_with_a_clear_word(tmp_path, tiny, monkeypatch):
    import limner.training.checkpoints as module

    real, calls = module.save_file, []

    def save_file(tensors, path, metadata):
        calls.append(path)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        real(tensors, path, metadata)

    monkeypatch.setattr(module, "save_file", save_file)
    plan = tiny.tiny_plan()
    with pytest.raises(TrainingError, match="no space left on the disk"):
        tiny.run_tiny(tmp_path, plan)
    monkeypatch.undo()
    assert tiny.run_tiny(tmp_path, plan, resume=True).steps == 20


def test_a_run_folder_is_trained_by_one_process(tmp_path, tiny):
    class Second(Watcher):
        def start(self, moment, settings):
            with pytest.raises(ConfigError, match="Another process writes to this folder"):
                tiny.run_tiny(tmp_path, plan)

    plan = tiny.tiny_plan(train={"steps": 2})
    assert tiny.run_tiny(tmp_path, plan, watchers=[Second()]).steps == 2
    (tmp_path / ".model.new.abc").mkdir()  # left by a process that was killed
    tiny.run_tiny(tmp_path, plan, resume=True)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train": {"sharding": "full", "compile": True}}, "A sharded model is not compiled"),
        ({"train": {"sharding": "full"}, "network": {"name": "linear-probe"}}, "only the last layer of"),
    ],
)
def test_what_cannot_be_sharded_is_refused(tmp_path, tiny, settings, message):
    with pytest.raises(ConfigError, match=message):
        tiny.run_tiny(tmp_path, tiny.tiny_plan(**settings))
