"""Cost of a network: parameters, multiply-adds, and the time of a forward pass.

Shape legend: B batch, C channels, *S spatial axes.
"""

import time
from statistics import median

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from limner.devices.device import synchronize

TIMED_PASSES = 3
"""Timed forward passes, whose median is reported, after one warm-up pass."""


def count_parameters(network: nn.Module) -> int:
    """Return the number of parameters; shared ones are counted once."""
    return sum(parameter.numel() for parameter in network.parameters())


def parameters_by_part(network: nn.Module) -> dict[str, int]:
    """Return the number of parameters of each direct submodule; shared ones count for the first.

    Submodules without parameters are omitted; parameters outside of any submodule are named ``itself``.
    """
    seen: set[int] = set()
    parts = {}
    for name, part in [*network.named_children(), ("itself", network)]:
        fresh = [p for p in part.parameters() if id(p) not in seen]
        seen.update(id(p) for p in fresh)
        if fresh:
            parts[name] = sum(p.numel() for p in fresh)
    return parts


def count_multiply_adds(network: nn.Module, image: torch.Tensor) -> int:
    """Return the multiply-adds of one forward pass in evaluation.

    Convolutions, matrix products and attention count; sums, norms, activations and resizing, which are always
    a small fraction, do not. With network and image on the ``meta`` device nothing is computed.

    Args:
        network: Any network; its mode and gradients are not changed.
        image: (B, C, *S) float32 on the network's device.
    """
    from torch.utils.flop_counter import FlopCounterMode  # imports Triton, a tenth of a second

    was_training = network.training
    # Fused attention, and PyTorch's own encoder layers, would be single operators that nobody counts.
    had_fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    # The counter tracks tensors that require gradients, and fails on a weight that is itself an input.
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    for weight in trained:
        weight.requires_grad_(False)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            network.eval()(image)
    finally:
        for weight in trained:
            weight.requires_grad_(True)
        torch.backends.mha.set_fastpath_enabled(had_fast_path)
        network.train(was_training)
    # PyTorch counts a multiplication and an addition as two.
    return int(counter.get_total_flops() // 2)


def time_forward(network: nn.Module, image: torch.Tensor) -> float:
    """Return the seconds of one forward pass in evaluation, on the device of the image.

    Args:
        network: In float32, on the image's device.
        image: (B, C, *S).
    """
    was_training = network.training
    seconds = []
    with torch.inference_mode():
        network.eval()(image)
        for _ in range(TIMED_PASSES):
            synchronize(image.device)
            began = time.perf_counter()
            network(image)
            synchronize(image.device)
            seconds.append(time.perf_counter() - began)
    network.train(was_training)
    return median(seconds)
