import sys
from types import ModuleType

import pytest
import torch

from limner.core.errors import ModelError
from limner.weights import torch_files
from limner.weights.torch_files import read_torch_file


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Write a file with a tensor, then an object of each name, as training frameworks do."""

    def save(*names: str, **options):
        objects = []
        for name in names:
            module, _, own = name.rpartition(".")
            parts = module.split(".")
            for place in (".".join(parts[: n + 1]) for n in range(len(parts))):
                if place not in sys.modules:
                    monkeypatch.setitem(sys.modules, place, ModuleType(place))
            kind = type(own, (), {"__module__": module, "__qualname__": own})
            monkeypatch.setattr(sys.modules[module], own, kind, raising=False)
            objects.append(kind())
        path = tmp_path / "a.pth"
        torch.save({"state_dict": {"weight": torch.arange(3.0)}, "objects": objects}, path, **options)
        return path

    return save


@pytest.fixture
def loads(monkeypatch):
    """The files that `torch.load` has read, one entry for each time."""
    read, load = [], torch.load
    monkeypatch.setattr(torch_files.torch, "load", lambda f, **options: read.append(f) or load(f, **options))
    return read


NAMES = ("mmengine.a.Log", "mmengine.b.Clock", "yacs.config.Node")


def test_tensors_are_read_once_however_many_objects_are_beside_them(saved, loads):
    path = saved(*NAMES)
    content, replaced = read_torch_file(path)
    assert content["state_dict"]["weight"].tolist() == [0, 1, 2]
    assert replaced == NAMES
    assert loads == [path]


def test_files_from_before_zip_are_read_too(saved):
    content, replaced = read_torch_file(saved(*NAMES, _use_new_zipfile_serialization=False))
    assert content["state_dict"]["weight"].tolist() == [0, 1, 2]
    assert replaced == NAMES


def test_other_objects_are_refused_by_name(saved):
    with pytest.raises(ModelError, match=r"elsewhere\.Program"):
        read_torch_file(saved("mmengine.a.Log", "elsewhere.Program"))


def test_too_many_kinds_of_objects_are_refused(saved):
    with pytest.raises(ModelError, match="more than 60 kinds of objects"):
        read_torch_file(saved(*(f"mmengine.Kind{n}" for n in range(60))))
    _, replaced = read_torch_file(saved(*(f"mmengine.Kind{n}" for n in range(59))))
    assert len(replaced) == 59
