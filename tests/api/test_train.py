"""`limner.train` from a folder to a run, as small as can be."""

import json
import os
import shlex

import torch

import limner


def test_a_run_says_where_and_how_it_was_made(cells, tmp_path, monkeypatch):
    command = ["/usr/bin/limner", "train", "my data", "--set", "network.options={widths: [4, 8]}"]
    monkeypatch.setattr("sys.argv", command)
    settings = {
        "network": {"name": "unet", "options": {"widths": [4, 8]}},
        "input": {"crop_size": [16, 16]},
        "train": {"steps": 1, "batch_size": 2, "trackers": []},
    }
    run = limner.train(cells, run=tmp_path / "run", settings=settings, device="cpu")
    environment = json.loads(run.environment.read_text("utf-8"))
    assert environment["device"] == "cpu" and environment["device_name"]
    assert environment["threads"] == torch.get_num_threads()
    assert 1 <= environment["cores"] <= (os.cpu_count() or 1)
    # Pasted into a shell, the command has the same arguments again.
    assert shlex.split(environment["command"]) == ["limner", *command[1:]]
    assert "Device" in run.report.read_text("utf-8")
