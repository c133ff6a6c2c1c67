"""Kills and damage at random, for minutes: nothing is lost, and nothing differs silently.

`make soak` runs each test for a third of MINUTES; without LIMNER_SOAK_MINUTES each takes one turn. A failure
names the seed of its turn, which LIMNER_SOAK_SEED repeats.
"""

import os
import shutil
import time
from itertools import count

import numpy as np
import pytest
import torch

import limner
from limner.core.errors import ModelError
from limner.storage.unfinished import UNFINISHED
from limner.training.checkpoints import read_run_checkpoint
from limner.weights.bundle import load_model, save_model

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")

MINUTES = float(os.environ.get("LIMNER_SOAK_MINUTES", "0"))
FIRST_SEED = int(os.environ.get("LIMNER_SOAK_SEED", "0"))
FORMATS = ("paired-folders", "voc")


def turns():
    """Yield a random generator for each turn until the time is over."""
    end = time.monotonic() + 60 * MINUTES / 3
    for seed in count(FIRST_SEED):
        print(f"LIMNER_SOAK_SEED={seed}")
        yield np.random.default_rng(seed)
        if time.monotonic() >= end:
            return


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".limner-files.json"
    }


def kill_until_done(kill, draw, out, num_files, verb, arguments, options):
    """Kill a command again and again, at random files of those that are missing, and let it end at last."""
    done = 1  # the record
    for _ in range(draw.integers(1, 4)):
        number = int(draw.integers(2, max(3, num_files - done)))
        resumed = options | {"resume": (out / UNFINISHED).exists()}
        kill((number, bool(draw.integers(2)), verb, arguments, resumed))
        done = len(content(out))
        if done > num_files - 3:
            break
    getattr(limner, verb)(*arguments, **options, resume=True)


def test_outputs_survive_kills(cells, tiny_model, tmp_path, kill):
    save_model(tmp_path / "model", tiny_model(data=cells), origin={})
    for draw in turns():
        shutil.rmtree(tmp_path / "turn", ignore_errors=True)
        whole, out = tmp_path / "turn" / "whole", tmp_path / "turn" / "out"
        if draw.integers(2):
            to = FORMATS[draw.integers(len(FORMATS))]
            limner.convert(cells, whole, to=to, lossy=True)
            arguments, verb, options = [str(cells), str(out)], "convert", {"to": to, "lossy": True}
        else:
            limner.predict(tmp_path / "model", cells / "images", out=whole, device="cpu")
            arguments, verb = [str(tmp_path / "model"), str(cells / "images")], "predict"
            options = {"out": str(out), "device": "cpu"}
        kill_until_done(kill, draw, out, len(content(whole)), verb, arguments, options)
        assert content(out) == content(whole)


@pytest.mark.skipif(not MINUTES, reason="takes half a minute; test_resume.py kills runs too")
def test_runs_survive_kills(tiny, run_script, tmp_path):
    assert run_script(tmp_path / "whole").returncode == 0
    expected = load_model(tmp_path / "whole" / "model", tiny.TinyNetwork()).state_dict()
    for draw in turns():
        run = tmp_path / "run"
        shutil.rmtree(run, ignore_errors=True)
        for step in sorted(draw.choice(np.arange(1, 20), draw.integers(1, 4), replace=False).tolist()):
            run_script(run, f"kill={step}", *(["--resume"] if run.exists() else []))
        assert run_script(run, "--resume").returncode == 0
        found = load_model(run / "model", tiny.TinyNetwork()).state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_damage_is_never_silent(tiny, tmp_path):
    tiny.run_tiny(tmp_path, tiny.tiny_plan(train={"steps": 2}))
    path = tmp_path / "checkpoints" / "last.safetensors"
    whole, content = read_run_checkpoint(path), path.read_bytes()
    for draw in turns():
        damaged = bytearray(content)
        for at in draw.integers(0, len(damaged), draw.integers(1, 5)):
            damaged[at] = draw.integers(256)
        path.write_bytes(damaged[: len(damaged) - draw.integers(0, 2) * draw.integers(0, 100)])
        try:
            found = read_run_checkpoint(path)
        except ModelError:
            continue
        assert (found.state, found.plan) == (whole.state, whole.plan)
        assert all(torch.equal(found.tensors[name], tensor) for name, tensor in whole.tensors.items())
