import pytest
import torch
from torch import nn

from limner.layers.preactivation import PreActivationUnit


@pytest.mark.parametrize("dims", [2, 3])
def test_a_stride_halves_and_rounds_up(dims):
    unit = PreActivationUnit(2, 4, stride=2, spatial_dims=dims)
    assert unit(torch.randn(2, 2, *(7, 6, 5)[:dims])).shape == (2, 4, *(4, 3, 3)[:dims])


def test_the_shortcut_sees_the_input_before_it_is_normalised():
    unit = PreActivationUnit(3, 3, shortcut_norm=False).eval()
    nn.init.zeros_(unit.residual[-1].weight)
    nn.init.zeros_(unit.residual[-1].bias)
    nn.init.zeros_(unit.shortcut[0].bias)
    nn.init.dirac_(unit.shortcut[0].weight)
    features = torch.randn(1, 3, 5, 5)
    kept = features.clone()
    torch.testing.assert_close(unit(features), kept)


def test_the_first_unit_neither_normalises_nor_activates_the_image():
    kinds = [type(part).__name__ for part in PreActivationUnit(3, 4, first=True).residual]
    assert kinds == ["Conv2d", "TolerantBatchNorm2d", "ReLU", "Conv2d"]
    kinds = [type(part).__name__ for part in PreActivationUnit(3, 4).residual]
    assert kinds == ["TolerantBatchNorm2d", "ReLU", "Conv2d", "TolerantBatchNorm2d", "ReLU", "Conv2d"]
