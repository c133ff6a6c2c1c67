import pytest
import torch

from limner.devices.convolution_layout import choose_memory_format


@pytest.mark.parametrize(
    ("device", "capability", "training", "layout"),
    [
        ("cpu", "AVX2", True, torch.contiguous_format),
        ("cpu", "AVX2", False, torch.channels_last),
        ("cpu", "AVX512", True, torch.channels_last),
        ("cuda", "AVX2", True, torch.channels_last),
    ],
)
def test_only_training_on_older_cpus_keeps_channels_apart(device, capability, training, layout, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert choose_memory_format(torch.device(device), spatial_dims=2, training=training) == layout


def test_volumes_have_a_layout_of_their_own():
    assert choose_memory_format(torch.device("cpu"), spatial_dims=3) == torch.channels_last_3d
