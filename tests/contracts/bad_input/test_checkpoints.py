"""Checkpoints of other projects that are no Mask2Former, half there, or unsafe."""

import pickle

import numpy as np
import pytest
import torch


@pytest.fixture
def both(limner, cells):
    """`limner import FILE` and `limner train --weights FILE`, which read the same."""

    def answers(name):
        yield limner("import", name, "--out", "out/model", "--task", "semantic")
        yield limner("train", cells.name, "--weights", name, "--device", "cpu")

    return answers


class Evil:
    def __reduce__(self):
        return print, ("code ran",)


def test_pickle_bombs(both, tmp_path):
    content = {"model": {"weight": np.ones(3)}, "extra": Evil()}
    (tmp_path / "bomb.pkl").write_bytes(pickle.dumps(content))
    (tmp_path / "no_suffix").write_bytes(pickle.dumps(content))
    torch.save(content, tmp_path / "bomb.pth")
    torch.save(content, tmp_path / "called.pkl")
    for name in ("bomb.pkl", "no_suffix", "bomb.pth", "called.pkl"):
        for answer in both(name):
            answer.refuses("The pickle was rejected", name, "it references", "print")
            assert "code ran" not in answer.out


def test_what_is_no_checkpoint(both, tmp_path):
    (tmp_path / "text.pkl").write_text("hello")
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\x00")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "config.json").write_text("{")
    (tmp_path / "folder" / "model_final.pkl").write_bytes(b"")
    for name, said in (
        ("text.pkl", "The pickle cannot be read"),
        ("text.txt", "The file is not a checkpoint"),
        ("empty.pth", "The file is empty"),
        ("cut.safetensors", "The weight file cannot be read"),
        ("folder", "fix: Pass the file: "),
        ("nowhere", "There is no such checkpoint"),
    ):
        for answer in both(name):
            answer.refuses(said, name)


def test_other_architectures_and_other_tables(both, tmp_path):
    torch.save({"conv1.weight": torch.ones(3)}, tmp_path / "resnet.pth")
    torch.save({"epoch": 3}, tmp_path / "numbers.pth")
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([1, 2]))
    for answer in both("resnet.pth"):
        answer.refuses("another architecture", "1 tensors, such as conv1.weight", "fix:")
    for name in ("numbers.pth", "list.pkl"):
        for answer in both(name):
            answer.refuses("contains no state dict", name, "name -> tensor")


def test_weights_that_are_missing_are_named(limner, authors_state, tmp_path):
    state, _ = authors_state()
    del state["backbone.res3.1.conv2.weight"]
    torch.save(state, tmp_path / "half.pth")
    limner("import", "half.pth", "--out", "out/model", "--task", "semantic").refuses(
        "does not match its network", "1 missing: backbone.layer2.1.conv2.weight", "fix:"
    )
