import pytest
import torch

from limner.core.errors import UnknownNameError
from limner.devices import precision as module
from limner.devices.machine import Machine, Memory
from limner.devices.precision import fast_float32, fast_precision, precision_context


def test_the_precision_is_that_of_the_arithmetic_and_not_of_the_weights():
    layer = torch.nn.Conv2d(1, 1, 1)
    images = torch.ones(1, 1, 2, 2)
    with precision_context(torch.device("cpu"), "bfloat16"):
        assert layer(images).dtype == torch.bfloat16
    with precision_context(torch.device("cpu"), "float32"):
        assert layer(images).dtype == torch.float32
    assert layer.weight.dtype == torch.float32


def test_an_unknown_precision_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'bfloat16'"):
        precision_context(torch.device("cpu"), "bfloat")


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
    assert fast_precision(torch.device("cpu"), trained) == chosen


def test_only_accelerators_round_the_factors_of_float32_products():
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("highest")
        with fast_float32(torch.device("cpu")):
            assert torch.get_float32_matmul_precision() == "highest"
        with pytest.raises(ValueError), fast_float32(torch.device("xpu")):
            assert torch.get_float32_matmul_precision() == "high"
            raise ValueError
        assert torch.get_float32_matmul_precision() == "highest"
        torch.set_float32_matmul_precision("medium")  # the caller's choice
        with fast_float32(torch.device("xpu")):
            assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
