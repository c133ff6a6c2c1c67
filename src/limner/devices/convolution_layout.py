"""Memory layout and algorithm with which a device computes convolutions fastest."""

import torch


def choose_memory_format(
    device: torch.device, *, spatial_dims: int, training: bool = False
) -> torch.memory_format:
    """Return the fastest memory format for a network's tensors.

    Tensor cores and CPUs compute convolutions faster in channels-last. The exception is training on CPUs
    without AVX-512 (oneDNN 3.11): there, weight gradients are up to 5 times slower in channels-last, and
    training steps of a U-Net 1.7 times.

    Args:
        device: Where the network will run.
        spatial_dims: 2 or 3.
        training: Whether gradients are needed.
    """
    if training and device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2":
        return torch.contiguous_format
    return torch.channels_last if spatial_dims == 2 else torch.channels_last_3d


def prefers_winograd(device: torch.device) -> bool:
    """Return whether training is faster with `limner.layers.winograd`, as measured on CPUs with AVX2."""
    return device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2"
