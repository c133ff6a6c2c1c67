import pytest
import torch
from torch import nn

from limner.core.errors import ConfigError
from limner.losses.distill_cwd import ChannelWiseLoss
from limner.losses.distill_features import FeatureLoss

NAMES = {"student": "a", "teacher": "b"}


def test_other_channels_and_another_resolution_are_adapted() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 3, 8, 8), torch.randn(2, 5, 4, 4)
    loss = FeatureLoss(**NAMES, temperature=2.0)
    loss.adapt(student[:1], teacher[:1])
    assert loss.adapter.weight.shape == (5, 3, 1, 1)
    adapted = nn.functional.interpolate(loss.adapter(student), (4, 4), mode="bilinear")
    expected = ChannelWiseLoss(temperature=2.0)(adapted, teacher, torch.ones(2, 4, 4, dtype=torch.bool))
    assert loss(student, teacher).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_convolution_learns_to_find_the_channels_of_the_teacher() -> None:
    torch.manual_seed(0)
    student = torch.randn(2, 4, 6, 6)
    teacher = torch.einsum("bfhw,gf->bghw", student, torch.randn(3, 4))
    loss = FeatureLoss(**NAMES)
    loss.adapt(student[:1], teacher[:1])
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.1)
    first = loss(student, teacher).item()
    for _ in range(150):
        optimizer.zero_grad()
        value = loss(student, teacher)
        value.backward()
        optimizer.step()
    assert value.item() < 0.01 * first


def test_volumes_have_a_convolution_of_three_dimensions() -> None:
    loss = FeatureLoss(**NAMES)
    loss.adapt(torch.zeros(1, 2, 4, 4, 4), torch.zeros(1, 3, 2, 2, 2))
    assert isinstance(loss.adapter, nn.Conv3d)
    assert loss(torch.randn(1, 2, 4, 4, 4), torch.randn(1, 3, 2, 2, 2)).ndim == 0


def test_layers_have_to_be_named() -> None:
    with pytest.raises(ConfigError, match="name a layer of the student and one of the teacher"):
        FeatureLoss(student="a")
    with pytest.raises(ConfigError, match="temperature"):
        FeatureLoss(**NAMES, temperature=0)
