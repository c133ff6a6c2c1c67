"""Two processes on the CPU, exchanging gradients through gloo; `ranks.py` is what they do."""

import csv
import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from pydantic_core import to_jsonable_python
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.main import get_command

from limner.cli.app import app
from limner.core.run_folder import RunFolder
from limner.core.watchers import Watcher
from limner.planning.settings import default_values, nest
from limner.storage.folder_lock import locked_folder
from limner.training.checkpoints import Checkpoints

if not torch.distributed.is_available():
    pytest.skip("this PyTorch was built without it", allow_module_level=True)

SCRIPT = Path(__file__).with_name("ranks.py")
SOURCE = Path(__file__).parents[2] / "src"
DOCS = Path(__file__).parents[2] / "docs"

FAILURES = ("out_of_memory", "hang", "hang_sharded", "no_data", "killed", "first_killed", "full_disk")
HARMLESS = ("full_disk_elsewhere", "slow_data")
SHARDED = ("sharded", "sharded_and_resumed", "sharded_again")
WAITING = (
    "out_of_memory+full_disk",
    "hang+killed",
    "no_data+first_killed",
    "hang_sharded+slow_data",
    "full_disk_elsewhere",
)
"""Scenarios that mostly wait, in pairs: each has two processes, as many as there are cores."""
SCENARIOS = ("exact", "resumed", "old", "again", "agreement", "command", "second", *SHARDED, *WAITING)

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")


class StopAt(Watcher):
    def __init__(self, step):
        self._step = step

    def step(self, moment):
        if moment.step == self._step:
            raise InterruptedError


@pytest.fixture(scope="module")
def ranks(tiny):
    """The module of the script; `tiny` is what it imports."""
    spec = importlib.util.spec_from_file_location("ranks", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def ended(tmp_path_factory, tiny, ranks, module_cells):
    """The folder of all scenarios, and how they ended: name -> exit codes of both, seconds."""
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "data").symlink_to(module_cells, target_is_directory=True)
    (folder / "held" / "checkpoints").mkdir(parents=True)
    (folder / "held" / "checkpoints" / "last.safetensors").write_text("of the first training")
    begin(tiny, folder / "begun", ranks.plan_of("uneven"), plain=True)
    begin(tiny, folder / "begun_alone", ranks.plan_of("uneven"), build=tiny.BlockNetwork)
    begin(tiny, folder / "old", ranks.plan_of("even"), plain=True)
    rewrite_as_old(Checkpoints(RunFolder(folder / "old")).last, batch_size=2)
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    with locked_folder(folder / "held", what="the first training"):
        done = subprocess.run(
            [sys.executable, str(SCRIPT), str(folder), *SCENARIOS],
            env=environment, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def alone(tmp_path_factory, tiny, ranks):
    """Trains with a batch in this process, once for each batch and kind of network; returns the folder."""

    @cache
    def run(batch, *, in_blocks=False):
        folder = tmp_path_factory.mktemp("alone")
        options = {"build": tiny.BlockNetwork} if in_blocks else {"plain": True}
        tiny.run_tiny(folder, ranks.plan_of(batch), **options)
        return folder

    return run


def begin(tiny, folder, plan, **options):
    """Train in one process, and stop after step 5."""
    with pytest.raises(InterruptedError):
        tiny.run_tiny(folder, plan, watchers=[StopAt(5)], **options)


OLD_STATE = (
    *("step", "seconds", "accumulate", "best_score", "best_step", "stale", "drops", "stale_since_drop"),
    *("validated_step", "validation_seconds", "final_seconds", "tracker_id", "window", "scaler"),
)
"""Names in the state of a run that the first version of checkpoints had."""


def rewrite_as_old(path, *, batch_size):
    """Rewrite a checkpoint as the first version did, when each process had a batch of `batch_size`.

    It has no hash, fewer values, and only the settings that are not the default.
    """
    with safe_open(str(path), framework="pt") as file:
        metadata = file.metadata()
    state, plan = json.loads(metadata["state"]), json.loads(metadata["plan"])
    defaults = to_jsonable_python(nest(default_values()))
    for section, values in defaults.items():
        if isinstance(values, dict):
            plan[section] = {n: v for n, v in plan[section].items() if n not in values or v != values[n]}
    plan = {section: values for section, values in plan.items() if values != {}}
    plan["train"]["batch_size"] = batch_size
    old = {"limner": "checkpoint 1", "plan": json.dumps(plan)}
    old["state"] = json.dumps({name: state[name] for name in OLD_STATE})
    save_file(load_file(str(path)), str(path), old)


@pytest.fixture
def said(ended):
    """What a process of a scenario printed."""
    return lambda name, rank: (ended[0] / f"{name}-{rank}.txt").read_text("utf-8", "replace")


@pytest.fixture
def succeeded(ended, said):
    """The folder, after a check that both processes of a scenario ended well."""

    def check(name):
        assert ended[1][name][:2] == [0, 0], said(name, 0)[-3000:] + said(name, 1)[-3000:]
        # Threads of a group that is not left now and then abort a process that ends.
        assert "gloo" not in said(name, 0) + said(name, 1)
        return ended[0]

    return check


def values(folder, start):
    """The values in metrics.csv whose names begin so; each is there once, as one process alone writes."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["name"].startswith(start)]
    found = {f"{row['step']} {row['name']}": float(row["value"]) for row in rows}
    assert len(found) == len(rows) > 0
    return found


def weights(folder):
    return folder / "model" / "weights.safetensors"


def assert_same_training(whole, together):
    """Losses of the same batches are alike to 1e-5, and so are the weights that follow from them."""
    assert values(together, "train/loss") == pytest.approx(values(whole, "train/loss"), abs=1e-5)
    assert values(together, "val/") == pytest.approx(values(whole, "val/"), abs=1e-2, nan_ok=True)
    first, second = (load_file(weights(folder)) for folder in (whole, together))
    for name, value in first.items():
        assert torch.allclose(value, second[name], rtol=1e-3, atol=1e-5), name


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("batch", ["even", "uneven", "parts", "uneven_parts"])
def test_two_processes_are_one_with_the_same_batch(alone, ranks, succeeded, batch):
    together = succeeded("exact") / batch
    assert_same_training(alone(batch), together)
    assert "8 val/mean_iou" in values(together, "val/")
    state = Checkpoints(RunFolder(together)).latest().checkpoint.state
    assert state.samples_per_step == ranks.plan_of(batch).train.batch_size


@needs_fork
@pytest.mark.slow
def test_a_run_of_one_process_goes_on_in_two(alone, succeeded):
    assert_same_training(alone("uneven"), succeeded("resumed") / "begun")


@needs_fork
@pytest.mark.slow
def test_a_checkpoint_of_processes_with_batches_of_their_own_goes_on(alone, succeeded):
    together = succeeded("old") / "old"
    assert_same_training(alone("even"), together)  # of 4 samples, as two processes with 2
    assert Checkpoints(RunFolder(together)).latest().checkpoint.state.samples_per_step == 4


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("batch", ["even", "uneven", "parts", "uneven_parts"])
def test_a_sharded_model_trains_as_a_whole_one(alone, succeeded, batch):
    whole = alone(batch, in_blocks=True)
    together = succeeded("sharded") / f"sharded_{batch}"
    assert_same_training(whole, together)
    first, second = (load_file(Checkpoints(RunFolder(run)).last) for run in (whole, together))
    assert {n: t.shape for n, t in first.items()} == {n: t.shape for n, t in second.items()}
    for name, value in first.items():
        assert torch.allclose(value, second[name], rtol=1e-3, atol=1e-4), name


@needs_fork
@pytest.mark.slow
def test_each_process_has_half_of_a_sharded_model(tiny, succeeded, said):
    succeeded("sharded")
    total = sum(parameter.numel() for parameter in tiny.BlockNetwork().parameters())
    held = [int(re.search(r"^holds (\d+)$", said("sharded", rank), re.MULTILINE)[1]) for rank in (0, 1)]
    assert sum(held) == total
    assert min(held) > 0.4 * total  # of 7 channels, the second one has 3


@needs_fork
@pytest.mark.slow
def test_a_sharded_run_goes_on_in_one_process_and_the_other_way_round(alone, tiny, ranks, succeeded):
    whole = alone("uneven", in_blocks=True)
    folder = succeeded("sharded_and_resumed")
    assert_same_training(whole, folder / "begun_alone")
    begun = folder / "begun_sharded"
    assert not weights(begun).exists()
    tiny.run_tiny(begun, ranks.plan_of("uneven"), build=tiny.BlockNetwork, resume=True)
    assert_same_training(whole, begun)


@needs_fork
@pytest.mark.slow
def test_a_sharded_run_that_was_stopped_is_bit_for_bit_the_same(succeeded):
    folder = succeeded("sharded_again")
    first, second = (weights(folder / name).read_bytes() for name in ("sharded_whole", "sharded_stopped"))
    assert first == second
    scores = values(folder / "sharded_whole", "val/")
    assert values(folder / "sharded_stopped", "val/") == pytest.approx(scores, rel=0, abs=0, nan_ok=True)


@needs_fork
@pytest.mark.slow
def test_the_processes_agree_when_to_stop_and_on_the_average(succeeded, said):
    succeeded("agreement")
    first, second = (re.findall(r"^thinks: (.*)$", said("agreement", rank), re.MULTILINE) for rank in (0, 1))
    assert first == second and len(first) == 5
    assert first[0].startswith("stops early 6 6 True")  # the score of step 2 is not exceeded at 4 and 6


@needs_fork
@pytest.mark.slow
def test_stopped_and_resumed_in_two_is_bit_for_bit_the_same(succeeded, said):
    folder = succeeded("again")
    assert weights(folder / "stopped").read_bytes() == weights(folder / "whole").read_bytes()
    assert values(folder / "stopped", "train/loss") == values(folder / "whole", "train/loss")
    assert values(folder / "stopped", "val/") == values(folder / "whole", "val/")


@needs_fork
@pytest.mark.slow
def test_the_command_line_makes_one_whole_run(succeeded):
    run = RunFolder(succeeded("command") / "runs" / "run")
    assert run.report.is_file() and weights(run.root).is_file()
    assert json.loads(run.environment.read_text("utf-8"))["processes"] == 2
    assert json.loads((run.evaluation("val") / "scores.json").read_text("utf-8"))["num_images"] >= 1


@needs_fork
@pytest.mark.slow
def test_a_second_training_in_one_folder_is_refused(ended, said):
    folder, codes = ended
    assert codes["second"][0] == 2 and codes["second"][1]
    assert "Another process writes to this folder" in said("second", 0)
    assert re.search(r"process 0 of 2(.|\n)*Another process writes to this folder", said("second", 1))
    kept = folder / "held" / "checkpoints" / "last.safetensors"
    assert kept.read_text() == "of the first training"


REASONS = {
    "out_of_memory": (0, 1, "memory ran out: CUDA out of memory. Tried to allocate 2.00 GiB"),
    "hang": (0, 1, "it hangs: at step 5 for "),
    "hang_sharded": (0, 1, "it hangs: at step 5 for "),
    "no_data": (0, 1, "it hangs: at step 5, waiting for its batch for "),
    "killed": (0, 1, "it has not answered for "),
    "first_killed": (1, 0, "the first process, through which the others talk, does not answer"),
    "full_disk": (1, 0, "a file could not be written: no space left on the disk"),
}
"""Scenario -> a process that goes on, the one that fails, and what the first then says of it."""


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("name", FAILURES)
def test_the_others_name_a_process_that_fails_and_the_run_goes_on(tiny, ranks, ended, said, name):
    folder, codes = ended
    witness, failing, reason = REASONS[name]
    assert all(codes[name][:2]) and codes[name][2] < 60, codes[name]
    if "killed" in name:
        assert codes[name][failing] == -signal.SIGKILL
    message = said(name, witness)
    assert f"process {failing} of 2" in message and reason in message, message
    saved = Checkpoints(RunFolder(folder / name)).latest()
    assert saved.checkpoint.state.step == (2 if name == "full_disk" else 4) and not saved.problem
    assert not weights(folder / name).exists()
    build = tiny.BlockNetwork if name == "hang_sharded" else tiny.TinyNetwork
    assert tiny.run_tiny(folder / name, ranks.failing_plan(), build=build, resume=True).steps == 8


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("name", HARMLESS)
def test_the_training_goes_on_where_nothing_is_lost(succeeded, name):
    assert weights(succeeded(name) / name).is_file()


def test_no_option_of_training_is_one_of_a_launcher():
    from accelerate.commands.launch import launch_command_parser
    from torch.distributed.run import parse_args

    options = [name for option in get_command(app).commands["train"].params for name in option.opts]
    options = [name for name in options if name.startswith("--")]
    assert {"--run", "--devices", "--restarts", "--set"} <= set(options)
    for option in options:
        words = ["train", "DATA", option, "1"]
        assert parse_args(["-m", "--", "limner", *words]).training_script_args == words
        assert launch_command_parser().parse_args(["-m", "limner", *words]).training_script_args == words


def test_commands_of_launchers_reach_limner_as_a_whole():
    from torch.distributed.run import parse_args

    pages = "\n".join(path.read_text("utf-8") for path in (DOCS / "train.md", DOCS / "scale.md"))
    commands = re.findall(r"^    torchrun (.*)$", pages, re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        parsed = parse_args(shlex.split(command))
        assert parsed.module and parsed.training_script == "limner", command
        assert parsed.training_script_args == ["train", "DATA", "--run", "NAME"], command
