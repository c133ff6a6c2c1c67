import errno
import os
import shutil
import subprocess

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from limner.core.errors import ModelError, TrainingError
from limner.core.run_folder import RunFolder
from limner.training import checkpoints as module
from limner.training.checkpoints import Checkpoints, read_run_checkpoint
from limner.training.run_state import RunState


@pytest.fixture
def plan(tiny):
    return tiny.tiny_plan()


def tensors(value, size=10):
    return {"model/a": torch.full((size,), float(value)), "model/b": torch.arange(6).reshape(2, 3).T}


def test_what_is_saved_is_read_back(tmp_path, plan):
    kept = Checkpoints(RunFolder(tmp_path))
    state = RunState(step=7, best_score=0.1 + 0.2, window={"train/loss": [1 / 3]}, best_step=5)
    shared = torch.ones(3)
    kept.save({**tensors(2), "model/tied": shared, "average/tied": shared}, state, plan)
    found = read_run_checkpoint(kept.last)
    assert found.state == state
    assert found.plan == plan.model_dump(mode="json")
    assert torch.equal(found.part("model")["b"], tensors(2)["model/b"])
    assert torch.equal(found.part("average")["tied"], shared)


def test_best_stays_when_last_moves_on(tmp_path, plan):
    kept = Checkpoints(RunFolder(tmp_path))
    kept.save(tensors(1), RunState(step=1), plan)
    kept.keep_as_best()
    kept.save(tensors(2), RunState(step=2), plan)
    assert (read_run_checkpoint(kept.best).state.step, read_run_checkpoint(kept.last).state.step) == (1, 2)


def test_best_is_copied_where_the_disk_knows_no_links(tmp_path, plan, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    kept = Checkpoints(RunFolder(tmp_path))
    kept.save(tensors(1), RunState(step=1), plan)
    kept.keep_as_best()
    assert kept.best.read_bytes() == kept.last.read_bytes()


@pytest.mark.parametrize("cut", [0, 5, 200, -1])
def test_a_file_that_was_cut_short_is_refused(tmp_path, plan, cut):
    kept = Checkpoints(RunFolder(tmp_path))
    kept.save(tensors(1), RunState(step=1), plan)
    kept.last.write_bytes(kept.last.read_bytes()[:cut])
    with pytest.raises(ModelError, match=r"last\.safetensors"):
        read_run_checkpoint(kept.last)


def test_no_flipped_bit_goes_unnoticed(tmp_path, plan):
    kept = Checkpoints(RunFolder(tmp_path))
    kept.save(tensors(1, size=100), RunState(step=1, best_score=0.5), plan)
    whole, good = read_run_checkpoint(kept.last), kept.last.read_bytes()
    noticed = 0
    for bit in np.random.default_rng(0).choice(8 * len(good), 400, replace=False):
        flipped = bytearray(good)
        flipped[bit // 8] ^= 1 << bit % 8
        kept.last.write_bytes(flipped)
        try:
            found = read_run_checkpoint(kept.last)
        except ModelError:
            noticed += 1
            continue
        assert (found.state, found.plan, found.tensors.keys()) == (
            whole.state,
            whole.plan,
            whole.tensors.keys(),
        )
        assert all(torch.equal(found.tensors[name], tensor) for name, tensor in whole.tensors.items())
    assert noticed > 390  # the others are in the padding of the header


@pytest.mark.parametrize("is_best", [False, True])
def test_a_damaged_last_checkpoint_is_replaced_by_the_newest_other(tmp_path, plan, is_best):
    kept = Checkpoints(RunFolder(tmp_path))
    for step in (1, 2, 3):
        kept.save(tensors(step), RunState(step=step), plan)
        if step == 1 or (step == 3 and is_best):
            kept.keep_as_best()
    damaged = bytearray(kept.last.read_bytes())
    damaged[-1] ^= 1
    with kept.last.open("r+b") as file:  # in place, as a disk does it: a link is damaged too
        file.write(damaged)
    found = kept.latest()
    assert (found.path, found.checkpoint.state.step) == (kept.previous, 2)
    assert "last.safetensors" in found.problem and "has changed since it was written" in found.problem
    with pytest.raises(ModelError, match="has changed" if is_best else "step 1"):
        kept.read_best(3)


def test_another_safetensors_file_is_refused(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    module.save_file({"a": torch.ones(1)}, tmp_path / "checkpoints/last.safetensors")
    with pytest.raises(ModelError, match="a complete limner checkpoint"):
        Checkpoints(RunFolder(tmp_path)).latest()


@pytest.mark.parametrize("kind", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_leaves_the_previous_checkpoint_intact(tmp_path, plan, monkeypatch, kind):
    kept = Checkpoints(RunFolder(tmp_path))
    kept.save(tensors(1), RunState(step=1), plan)
    before = kept.last.read_bytes()

    def fail(_tensors, path, _metadata):
        with open(path, "wb") as file:  # noqa: PTH123 - half a file, as the library would leave
            file.write(before[:100])
        raise OSError(kind, os.strerror(kind))

    monkeypatch.setattr(module, "save_file", fail)
    with pytest.raises(TrainingError, match="limner train --resume") as caught:
        kept.save(tensors(2), RunState(step=2), plan)
    assert os.strerror(kind) in str(caught.value)
    assert kept.last.read_bytes() == before
    assert [path.name for path in kept.last.parent.iterdir()] == ["last.safetensors"]


@pytest.mark.skipif(
    shutil.which("mount") is None or not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="a disk of 1 MiB can only be mounted by root on Linux",
)
def test_a_disk_that_really_is_full(tmp_path, plan):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        kept = Checkpoints(RunFolder(disk))
        kept.save(tensors(1, size=50_000), RunState(step=1), plan)  # 200 kB
        before = kept.last.read_bytes()
        with pytest.raises(TrainingError, match="no space left on the disk"):
            kept.save(tensors(2, size=500_000), RunState(step=2), plan)  # 2 MB
        assert kept.last.read_bytes() == before
        assert [path.name for path in kept.last.parent.iterdir()] == ["last.safetensors"]
        kept.save(tensors(3, size=50_000), RunState(step=3), plan)
        assert read_run_checkpoint(kept.last).state.step == 3
    finally:
        subprocess.run(["umount", disk], check=True)


def test_checkpoints_of_versions_without_a_hash_are_read(tmp_path, tiny):
    tiny.run_tiny(tmp_path, tiny.tiny_plan(train={"steps": 2}))
    path = tmp_path / "checkpoints" / "last.safetensors"
    with safe_open(str(path), framework="pt") as file:
        metadata = {name: text for name, text in file.metadata().items() if name != "hash"}
    save_file(load_file(str(path)), str(path), metadata)
    assert read_run_checkpoint(path).state.step == 2
