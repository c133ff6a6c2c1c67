import pytest
import torch

from limner.core.errors import ConfigError
from limner.devices.device import choose_device, pick_device


def test_auto_means_the_accelerator_where_there_is_one(monkeypatch):
    xpu = torch.device("xpu", 0)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: xpu)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert pick_device("auto") == xpu
    assert pick_device("cpu") == torch.device("cpu")


def test_names():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in {"cpu", "cuda", "mps", "xpu"}


@pytest.mark.parametrize("name", ["gpu", "cuda:77", "", "hpu"])
def test_a_device_that_is_not_there_is_a_message(name):
    with pytest.raises(ConfigError, match=r"(?s)cannot be used here.*limner doctor"):
        choose_device(name)
