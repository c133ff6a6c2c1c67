import sys
import time

import pytest
import torch
from torch import nn

from limner.analysis.network_speed import STAGES, measure_speed
from limner.core.outputs import DenseLogits


class Hungry(nn.Module):
    def forward(self, image):
        needed = torch.ones(100 * 2**18)  # 100 MiB
        return DenseLogits(needed[:32].view(1, 2, 4, 4))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets an earlier peak")
def test_an_earlier_peak_does_not_hide_what_a_pass_needs(monkeypatch):
    monkeypatch.setattr("limner.analysis.network_speed.MOST", 5)
    del (earlier := [torch.ones(400 * 2**18)])[:]
    found = measure_speed(
        Hungry(), nn.Identity(), size=(8, 8), channels=3, batch=1, device=torch.device("cpu")
    )
    assert not earlier and 90 * 2**20 < found.peak_bytes < 200 * 2**20


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
