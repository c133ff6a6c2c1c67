"""Memory and time of training per pixel, measured on two small inputs.

A hook on autograd sees every tensor that is saved for the backward pass. Two input sizes determine a linear
model with a fixed part and a part proportional to the area, which holds because the maps of convolutional
networks scale with the input's area.

Shape legend: B batch, C channels, K classes.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from limner.devices.device import synchronize
from limner.devices.precision import precision_context
from limner.devices.threads import CoreUse
from limner.layers.blocks import num_gathered

BATCH = 2
"""Batch size of the measured inputs: batch normalisation needs two."""

SIDES_2D = (64, 96)
SIDES_3D = (32, 48)
"""Sizes of the two inputs: large enough for a stride of 32, small enough for a second of CPU time."""

FEWEST_PASSES, MOST_PASSES, CLOCK_SECONDS = 2, 10, 0.5
"""Minimum and maximum number of timed passes, and the seconds after which timing stops if they agree."""

AGREEMENT, LONGEST_CLOCK = 1.15, 2.0
"""The two fastest passes agree within this factor; the seconds after which timing stops if they do not."""

LEAST_BY_PIXEL = 0.3
"""Minimum fraction of the larger input's time that is assumed to grow with its area. Measured on 2 cores:
nearly all of it for U-Nets, 0.3 for a small Mask2Former, whose queries cost the same at any size."""

COPIES_OF_WEIGHTS = {"sgd": 3, "adam": 4, "adamw": 4}
"""Memory of weights, gradients and optimizer state, in multiples of the weights."""

WORKSPACE = {"float32": 1.3, "bfloat16": 1.7, "float16": 1.7}
"""Factor for memory that autograd does not save: intermediate gradients, workspaces of convolutions, the loss
in float32. With it the estimate was 0.94 to 1.32 times the real peak of a step on a CPU, for U-Net, U-Net on
ResNet-18 and -50, and DeepLabV3+."""


@dataclass(frozen=True)
class Cost:
    """Cost of training.

    Attributes:
        weight_bytes: Size of the weights in float32.
        fixed_bytes: Memory for the backward pass that does not depend on the input's size.
        bytes_per_pixel: Additional memory per pixel of each sample.
        seconds_per_step: Time of forward and backward that does not depend on the input's size, on the
            measured machine.
        seconds_per_pixel: Additional time per pixel of each sample.
        forward_bytes_per_pixel: Peak memory of prediction per pixel.
        others: CPU cores that other programs used while the time was measured on a CPU.
        gathered_bytes: Size in float32 of the weights that a device gathers at once if they are sharded.
        shards: Number of devices between which weights, gradients and optimizer state are divided.
    """

    weight_bytes: int
    fixed_bytes: float
    bytes_per_pixel: float
    seconds_per_step: float
    seconds_per_pixel: float
    forward_bytes_per_pixel: float
    others: float = 0.0
    gathered_bytes: int = 0
    shards: int = 1

    def sharded(self, shards: int) -> "Cost":
        """Return the cost of one of `shards` devices between which the model is divided."""
        return replace(self, shards=shards)

    def training_bytes(self, num_pixels: int, *, optimizer: str, averaged: bool = True) -> int:
        """Return the estimated peak memory of training on a device.

        A sharded model needs the weights that are gathered at once and their gradients in a step, or all
        weights in validation.

        Args:
            num_pixels: Number of pixels of all samples in memory at once.
            optimizer: Name of the optimizer, which determines its state's size.
            averaged: Whether an average of the weights is kept too.
        """
        held, step = self._held_bytes(optimizer, averaged=averaged), self._step_bytes(num_pixels)
        return int(held + (step if self.shards == 1 else max(step, self.weight_bytes)))

    def pixels_that_fit(self, num_bytes: int, *, optimizer: str) -> int:
        """Return the number of pixels per step that fit in `num_bytes`; 0 if not even the weights fit."""
        if self.training_bytes(0, optimizer=optimizer) > num_bytes:
            return 0
        left = num_bytes - int(self._held_bytes(optimizer, averaged=True) + self._step_bytes(0))
        return int(left / self.bytes_per_pixel)

    def _held_bytes(self, optimizer: str, *, averaged: bool) -> float:
        """Return the memory of weights, gradients, optimizer state and average."""
        return self.weight_bytes * (COPIES_OF_WEIGHTS[optimizer] + averaged) / self.shards

    def _step_bytes(self, num_pixels: int) -> float:
        """Return the memory of a step besides."""
        gathered = 0 if self.shards == 1 else 2 * self.gathered_bytes
        return gathered + self.fixed_bytes + num_pixels * self.bytes_per_pixel

    def seconds(self, num_pixels: int) -> float:
        """Return the estimated time of forward and backward for a total number of pixels."""
        return self.seconds_per_step + num_pixels * self.seconds_per_pixel


Step = Callable[[nn.Module, torch.Tensor], torch.Tensor]
"""Network and images (B, C, *S) -> the loss."""


def measure_cost(
    network: nn.Module,
    step: Step,
    *,
    channels: int,
    spatial_dims: int = 2,
    precision: str = "float32",
    device: str = "cpu",
) -> Cost:
    """Measure memory and time of forward and backward passes on two small inputs.

    Weights are not changed and gradients are cleared, but running statistics of norms are updated.

    Args:
        network: In training mode, on `device`.
        step: Computes the training loss.
        channels: C of the images.
        spatial_dims: 2 or 3.
        precision: Precision of the computation, a name of `PRECISIONS`.
        device: Device to measure; the time is valid only there.
    """
    shapes = _measured_shapes(network, spatial_dims)
    inputs = [torch.zeros((BATCH, channels, *shape), device=device) for shape in shapes]
    pixels = [BATCH * prod(shape) for shape in shapes]
    meters = [_measure_saved(network, step, images, precision) for images in inputs]
    by_pixel = max((meters[1].kept_bytes - meters[0].kept_bytes) / (pixels[1] - pixels[0]), 1.0)
    workspace = WORKSPACE[precision]
    use = CoreUse()
    small, large = (_fastest_pass(network, step, images, precision) for images in inputs)
    # Timings are noisy: limit the fixed part so that the part per pixel stays plausible.
    pixel_seconds = max((large - small) / (pixels[1] - pixels[0]), LEAST_BY_PIXEL * large / pixels[1])
    pixel_seconds = min(pixel_seconds, large / pixels[1])
    return Cost(
        weight_bytes=sum(p.numel() * 4 for p in network.parameters()),
        fixed_bytes=max(meters[1].kept_bytes - by_pixel * pixels[1], 0.0) * workspace,
        bytes_per_pixel=by_pixel * workspace,
        seconds_per_step=large - pixel_seconds * pixels[1],
        seconds_per_pixel=pixel_seconds,
        gathered_bytes=4 * num_gathered(network),
        # Prediction saves nothing for backward: only a map, its input and its output are in memory.
        forward_bytes_per_pixel=3 * meters[1].largest_bytes / pixels[1],
        others=use.by_others() if inputs[0].device.type == "cpu" else 0.0,
    )


def _measured_shapes(network: nn.Module, spatial_dims: int) -> list[tuple[int, ...]]:
    """Return the sizes of the two inputs; those of deep networks leave more than one voxel at the bottom."""
    sides = SIDES_2D if spatial_dims == 2 else SIDES_3D
    multiple = getattr(network, "multiple", None)
    if spatial_dims == 3 and isinstance(multiple, tuple) and min(multiple) >= min(sides):
        depth, height, width = multiple
        return [(depth, height, 2 * width), (depth, 2 * height, 2 * width)]
    return [(side,) * spatial_dims for side in sides]


class _Meter:
    """Sums the sizes of tensors saved by autograd; counts each storage once, without weights and buffers."""

    def __init__(self, network: nn.Module) -> None:
        owned = [*network.parameters(), *network.buffers()]
        self._seen = {t.untyped_storage().data_ptr() for t in owned}
        self.kept_bytes = 0
        self.largest_bytes = 0

    def pack(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.kept_bytes += storage.nbytes()
            self.largest_bytes = max(self.largest_bytes, storage.nbytes())
        return tensor


def _measure_saved(network: nn.Module, step: Step, images: torch.Tensor, precision: str) -> _Meter:
    """Run forward and sum the sizes of tensors saved by autograd."""
    meter = _Meter(network)
    with precision_context(images.device, precision), saved_tensors_hooks(meter.pack, lambda tensor: tensor):
        step(network, images)
    return meter


def _fastest_pass(network: nn.Module, step: Step, images: torch.Tensor, precision: str) -> float:
    """Return the time in seconds of the fastest of a few forward and backward passes.

    The first pass selects kernels, and others may be delayed by other processes: the fastest counts once a
    second one agrees with it.
    """
    times: list[float] = []
    while _needs_another(times):
        synchronize(images.device)
        began = time.perf_counter()
        with precision_context(images.device, precision):
            loss = step(network, images)
        torch.autograd.backward(loss)
        synchronize(images.device)
        times.append(time.perf_counter() - began)
    network.zero_grad(set_to_none=True)
    return min(times)


def _needs_another(times: Sequence[float]) -> bool:
    """Return whether a pass should be timed again, given those so far."""
    if len(times) < FEWEST_PASSES:
        return True
    fastest, second, *_ = sorted(times)
    limit = CLOCK_SECONDS if second <= AGREEMENT * fastest else LONGEST_CLOCK
    return len(times) < MOST_PASSES and sum(times) < limit
