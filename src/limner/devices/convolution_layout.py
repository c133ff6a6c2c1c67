"""How a device computes convolutions fastest: the layout of tensors in memory, and the algorithm."""

import torch


def choose_memory_format(
    device: torch.device, *, spatial_dims: int, training: bool = False
) -> torch.memory_format:
    """Return how a network's tensors are best laid out in memory.

    Channels last, which tensor cores and CPUs convolve faster. Only the gradients of weights are up to five
    times slower so on CPUs without AVX-512 (oneDNN 3.11), and with them whole training steps: 1.7 times for a
    U-Net.

    Args:
        device: Where the network will run.
        spatial_dims: 2 or 3.
        training: Gradients will be needed.
    """
    if training and device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2":
        return torch.contiguous_format
    return torch.channels_last if spatial_dims == 2 else torch.channels_last_3d


def prefers_winograd(device: torch.device) -> bool:
    """Say whether convolutions train faster by `limner.layers.winograd`: measured on CPUs with AVX2."""
    return device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2"
