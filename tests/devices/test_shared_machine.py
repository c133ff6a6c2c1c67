import os
from types import SimpleNamespace

import pytest
import torch

from limner.core.errors import ConfigError
from limner.devices import shared_machine as module
from limner.devices.processes import num_local_processes
from limner.devices.shared_machine import devices_of, shared_machine


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(
        module, "choose_device", lambda name: torch.device(name if name != "auto" else "cuda")
    )
    monkeypatch.setattr(torch, "get_device_module", lambda device: SimpleNamespace(device_count=lambda: 2))


def test_each_process_has_a_device_of_its_own(two_gpus):
    assert devices_of("auto", 2) == devices_of("cuda", 2) == ("cuda:0", "cuda:1")
    assert devices_of("cpu", 3) == ("cpu",) * 3
    assert devices_of("cuda:1", 1) == ("cuda:1",)
    with pytest.raises(ConfigError, match="--processes 3 .* is 2 of the type cuda"):
        devices_of("auto", 3)
    with pytest.raises(ConfigError, match="--device cuda:1 is 1 of"):
        devices_of("cuda:1", 2)


def test_cores_and_memory_are_divided_inside_of_the_block(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(module, "cores_of_each", lambda processes: 8 // processes)
    before = torch.get_num_threads()
    with shared_machine(4):
        assert (torch.get_num_threads(), os.environ["OMP_NUM_THREADS"], num_local_processes()) == (2, "2", 4)
    assert torch.get_num_threads() == before
    assert "OMP_NUM_THREADS" not in os.environ and num_local_processes() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # the user chose
    with shared_machine(4):
        assert (torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]) == (before, "3")
