import pytest
import torch

from limner.core.errors import UnknownNameError
from limner.devices.precision import precision_context


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
