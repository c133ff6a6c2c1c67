"""Two processes on the CPU, exchanging gradients through gloo."""

import csv
import re
import shlex
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

LAUNCHER = ("-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone")
SETTINGS = {"ema_decay": 0.9, "steps": 12, "gradient_clip": 1.0}


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch was built without it")
def test_two_processes_with_half_a_batch_each_are_one_with_the_whole(tmp_path, tiny, run_script):
    # Without batch norm and dropout, whose draws and statistics each process has for itself.
    alone, together = tmp_path / "alone", tmp_path / "together"
    # SGD, since Adam would make a whole step of a rounding error where the gradient is near zero.
    # Without zoom, which leaves ignored borders: a mean of means is the mean only over equally many pixels.
    augment, optimizer = {"scale": (1.0, 1.0)}, {"name": "sgd"}
    plan = tiny.tiny_plan(train={**SETTINGS, "batch_size": 4}, optimizer=optimizer, augment=augment)
    tiny.run_tiny(alone, plan, plain=True)
    arguments = [
        "optimizer.name=sgd",
        "augment.scale=[1.0, 1.0]",
        *(f"train.{key}={value}" for key, value in SETTINGS.items()),
    ]
    done = run_script(together, "train.batch_size=2", "plain=true", *arguments, launcher=LAUNCHER)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "gloo" not in done.stdout  # threads of the group now and then abort a process that ends

    first, second = (load_file(folder / "model" / "weights.safetensors") for folder in (alone, together))
    for name, value in first.items():
        assert torch.allclose(value, second[name], rtol=1e-3, atol=1e-5), name
    assert scores(together) == pytest.approx(scores(alone), abs=1e-2)


def scores(folder):
    """The scores of every validation; each stands in the file once, so one process alone has written."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["name"].startswith("val/")]
    found = {f"{row['step']} {row['name']}": float(row["value"]) for row in rows}
    assert len(found) == len(rows)
    assert "12 val/mean_iou" in found
    return found


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch was built without it")
def test_the_command_in_the_docs_reaches_limner_as_a_whole():
    from torch.distributed.run import parse_args

    page = Path(__file__).parents[2] / "docs" / "train.md"
    command = re.search(r"`torchrun (.*?)`", page.read_text(encoding="utf-8"))[1]
    parsed = parse_args(shlex.split(command))
    assert parsed.module and parsed.training_script == "limner"
    assert parsed.training_script_args == ["train", "DATA", "--run", "NAME"]
