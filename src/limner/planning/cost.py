"""What training costs for each pixel, in memory and in time: measured on two small inputs, not guessed.

Autograd says itself what it keeps for the backward pass: a hook sees every saved tensor. Two sizes give a
straight line, fixed part and part by area, which holds because convolutional networks keep maps whose
areas are proportional to the input's.

Shape legend: B batch, C channels, K classes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

Precision = str
"""``float32``, ``bfloat16`` or ``float16``, as in `TrainPlan.precision`."""

BATCH = 2
"""Samples of the measured inputs: batch normalisation needs two."""

SIDES_2D = (96, 160)
SIDES_3D = (32, 48)
"""Sides of the two inputs: large enough for a stride of 32, small enough for a second of CPU time."""

COPIES_OF_WEIGHTS = {"sgd": 3, "adam": 4, "adamw": 4}
"""Weights, gradients and the optimizer's own state, in copies of the weights."""

WORKSPACE = 1.3
"""Factor for what autograd does not save: gradients on their way back, convolution workspaces, and the
allocator's rounding. Compared with the real peak in tests/planning/test_cost.py."""


@dataclass(frozen=True)
class Cost:
    """What training costs.

    Attributes:
        weight_bytes: The weights, float32.
        fixed_bytes: Kept for the backward pass whatever the size of the input.
        bytes_per_pixel: Kept for each pixel of each sample.
        seconds_per_pixel: Forward and backward, on the machine that measured; 0.0 where nobody did.
        forward_bytes_per_pixel: Largest maps alive at once in prediction, for each pixel.
    """

    weight_bytes: int
    fixed_bytes: float
    bytes_per_pixel: float
    seconds_per_pixel: float
    forward_bytes_per_pixel: float

    def training_bytes(self, num_pixels: int, *, optimizer: str, averaged: bool = True) -> int:
        """Return the estimated peak memory of a training step.

        Args:
            num_pixels: Of all samples that are in memory at once.
            optimizer: Its name, for the copies it keeps.
            averaged: An average of the weights is kept too.
        """
        copies = COPIES_OF_WEIGHTS[optimizer] + averaged
        activations = WORKSPACE * (self.fixed_bytes + num_pixels * self.bytes_per_pixel)
        return int(self.weight_bytes * copies + activations)

    def pixels_that_fit(self, num_bytes: int, *, optimizer: str) -> int:
        """Return how many pixels a step can hold in `num_bytes`; 0 where not even the weights fit."""
        left = num_bytes - self.training_bytes(0, optimizer=optimizer)
        return max(int(left / (WORKSPACE * self.bytes_per_pixel)), 0)


Step = Callable[[nn.Module, torch.Tensor], torch.Tensor]
"""Network and images (B, C, *S) -> the loss."""


def measure_cost(
    network: nn.Module,
    step: Step,
    *,
    channels: int,
    spatial_dims: int = 2,
    precision: Precision = "float32",
    device: str = "cpu",
) -> Cost:
    """Run a network forward and backward on two small inputs and note what it keeps and how long it takes.

    The weights are not changed and the gradients are cleared; running statistics of norms do move.

    Args:
        network: In training mode, on `device`.
        step: Computes the loss that training minimises.
        channels: C of the images.
        spatial_dims: 2 or 3.
        precision: Number format of the arithmetic.
        device: Where to measure; the time only means something there.
    """
    sides = SIDES_2D if spatial_dims == 2 else SIDES_3D
    pixels, kept, seconds, largest = [], [], [], []
    for side in sides:
        images = torch.zeros((BATCH, channels, *([side] * spatial_dims)), device=device)
        meter = _Meter(network)
        _run(network, step, images, precision, meter)
        pixels.append(BATCH * side**spatial_dims)
        kept.append(meter.kept_bytes)
        seconds.append(meter.seconds)
        largest.append(meter.largest_bytes)
    area = pixels[1] - pixels[0]
    by_pixel = max((kept[1] - kept[0]) / area, 1.0)
    weights = sum(p.numel() * 4 for p in network.parameters())
    network.zero_grad(set_to_none=True)
    return Cost(
        weight_bytes=weights,
        fixed_bytes=max(kept[1] - by_pixel * pixels[1], 0.0),
        bytes_per_pixel=by_pixel,
        seconds_per_pixel=max(seconds[1] / pixels[1], 1e-12),
        # Prediction keeps nothing for later: the largest map, what it is made from, and what is made of it.
        forward_bytes_per_pixel=3 * largest[1] / pixels[1],
    )


class _Meter:
    """Sums up what autograd saves, each storage once, weights and buffers left out."""

    def __init__(self, network: nn.Module) -> None:
        owned = [*network.parameters(), *network.buffers()]
        self._seen = {t.untyped_storage().data_ptr() for t in owned}
        self.kept_bytes = 0
        self.largest_bytes = 0
        self.seconds = 0.0

    def pack(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.kept_bytes += storage.nbytes()
            self.largest_bytes = max(self.largest_bytes, storage.nbytes())
        return tensor


def _run(network: nn.Module, step: Step, images: torch.Tensor, precision: Precision, meter: _Meter) -> None:
    dtype = torch.float32 if precision == "float32" else getattr(torch, precision)
    autocast = torch.autocast(images.device.type, dtype=dtype, enabled=precision != "float32")
    with autocast, torch.autograd.graph.saved_tensors_hooks(meter.pack, lambda tensor: tensor):
        loss = step(network, images)
    torch.autograd.backward(loss)
    # Once more for the clock: the first pass pays for choosing kernels.
    _synchronize(images.device)
    began = time.perf_counter()
    with autocast:
        loss = step(network, images)
    torch.autograd.backward(loss)
    _synchronize(images.device)
    meter.seconds = time.perf_counter() - began


def _synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize()
