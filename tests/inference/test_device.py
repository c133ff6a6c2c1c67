import pytest
import torch

from limner.core.errors import ConfigError
from limner.inference import device as module
from limner.inference.device import choose_device, choose_precision, precision_context
from limner.planning.machine import Machine, Memory


def test_names():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in {"cpu", "cuda", "mps", "xpu"}


@pytest.mark.parametrize("name", ["gpu", "cuda:77", "", "hpu"])
def test_a_device_that_is_not_there_is_a_message(name):
    with pytest.raises(ConfigError, match=r"(?s)cannot be used here.*limner doctor"):
        choose_device(name)


@pytest.mark.parametrize(
    ("trained", "bfloat16", "chosen"),
    [
        ("float32", True, "float32"),
        ("bfloat16", True, "bfloat16"),
        ("bfloat16", False, "float32"),
        ("float16", True, "float32"),
    ],
)
def test_the_trained_precision_where_it_is_fast(monkeypatch, trained, bfloat16, chosen):
    machine = Machine("cpu", "a processor", Memory(1, 1), 2, bfloat16)
    monkeypatch.setattr(module, "examine", lambda _: machine)
    assert choose_precision(torch.device("cpu"), trained) == chosen


def test_the_precision_is_that_of_the_arithmetic_and_not_of_the_weights():
    layer = torch.nn.Conv2d(1, 1, 1)
    images = torch.ones(1, 1, 2, 2)
    with precision_context(torch.device("cpu"), "bfloat16"):
        assert layer(images).dtype == torch.bfloat16
    with precision_context(torch.device("cpu"), "float32"):
        assert layer(images).dtype == torch.float32
    assert layer.weight.dtype == torch.float32
