from math import e, erf, sqrt

import pytest
import torch

from limner.layers.activation import build_activation

# At -1. GELU is x times the normal distribution's cumulative probability; hard swish x (x + 3) / 6.
AT_MINUS_ONE = {
    "none": -1.0,
    "relu": 0.0,
    "leaky_relu": -0.01,
    "elu": 1 / e - 1,
    "prelu": -0.25,
    "gelu": -(1 + erf(-1 / sqrt(2))) / 2,
    "silu": -1 / (1 + e),
    "hardswish": -1 / 3,
}


@pytest.mark.parametrize(("name", "expected"), AT_MINUS_ONE.items())
def test_each_name_is_its_function(name, expected) -> None:
    values = torch.tensor([[-1.0, 2.0]])
    found = build_activation(name, channels=2)(values)
    assert found[0, 0].item() == pytest.approx(expected)


def test_an_unknown_name_is_not_taken_for_none() -> None:
    with pytest.raises(KeyError, match="swish"):
        build_activation("swish")
