"""Two processes on the CPU, exchanging gradients through gloo."""

import csv

import pytest
import torch
from safetensors.torch import load_file

SETTINGS = ("train.batch_size=2", "train.ema_decay=0.9", "train.steps=12")


def launch(run_script, folder, *arguments):
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=0", "--standalone")
    return run_script(folder, *SETTINGS, *arguments, launcher=launcher)


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch was built without it")
def test_two_processes_train_one_model_and_one_of_them_writes(tmp_path, run_script):
    done = launch(run_script, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = [(row["step"], row["name"]) for row in csv.DictReader(file)]
    assert len(rows) == len(set(rows))  # nobody wrote twice
    assert ("12", "val/mean_iou") in rows

    again = launch(run_script, tmp_path / "again")
    assert again.returncode == 0, again.stderr[-3000:]
    first, second = (load_file(f / "model" / "weights.safetensors") for f in (tmp_path, tmp_path / "again"))
    assert all(torch.equal(first[name], second[name]) for name in first)
