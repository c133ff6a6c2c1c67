import time

import pytest
import torch
from torch import nn

from limner.analysis.network_speed import STAGES, measure_speed
from limner.core.outputs import DenseLogits


class Slow(nn.Module):
    def forward(self, image):
        time.sleep(0.02)
        return DenseLogits(torch.zeros(len(image), 2, 4, 4))


def test_the_time_is_where_it_is_spent():
    found = measure_speed(Slow(), nn.Identity(), size=(8, 8), channels=3, batch=2, device=torch.device("cpu"))
    assert set(found.shares) == set(STAGES) and sum(found.shares.values()) == pytest.approx(1)
    assert found.shares["network"] > 0.6  # a sleep of 20 ms beside copies of some bytes
    assert 0.02 <= found.median_seconds <= found.percentile_95_seconds
    assert found.images_per_second == pytest.approx(2 / found.median_seconds)
    assert found.passes >= 5
