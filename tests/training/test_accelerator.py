import os
from types import SimpleNamespace

import pytest
import torch

from limner.core.errors import ConfigError
from limner.training import accelerator as module
from limner.training.accelerator import DEVICE_VARIABLE, build_accelerator


@pytest.fixture
def foreign(monkeypatch):
    """A machine with an accelerator that accelerate would not choose."""
    monkeypatch.setattr(module, "choose_device", lambda _: torch.device("xpu"))
    told = []

    def made(precision, *, on_cpu):
        told.append(os.environ.get(DEVICE_VARIABLE))
        return SimpleNamespace(device=torch.device(told[-1] or "cpu"), distributed_type="NO")

    monkeypatch.setattr(module, "_accelerator", made)
    return told


def test_accelerate_is_told_the_device(foreign, monkeypatch):
    monkeypatch.setenv(DEVICE_VARIABLE, "mps")
    assert build_accelerator("auto", precision="float32").device.type == "xpu"
    assert foreign == ["xpu"]
    assert os.environ[DEVICE_VARIABLE] == "mps"
    monkeypatch.delenv(DEVICE_VARIABLE)
    build_accelerator("auto", precision="float32")
    assert DEVICE_VARIABLE not in os.environ


def test_training_on_the_cpu_instead_of_the_accelerator_is_refused(foreign, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(module.distributed, "is_initialized", lambda: True)
    with pytest.raises(
        ConfigError, match="cannot train in several processes on 'xpu', and would use the CPU"
    ):
        build_accelerator("auto", precision="float32")


def test_who_asks_accelerate_for_the_cpu_gets_it(foreign, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert build_accelerator("auto", precision="float32").device.type == "cpu"


def test_a_precision_that_accelerate_refuses_is_a_message(monkeypatch):
    def refuse(**_):
        raise ValueError("bf16 mixed precision requires a supported device.")

    monkeypatch.setattr(module, "Accelerator", refuse)
    with pytest.raises(ConfigError, match=r"train.precision bfloat16 cannot be used here.*float32"):
        build_accelerator("cpu", precision="bfloat16")
