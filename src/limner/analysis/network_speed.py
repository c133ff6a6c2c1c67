"""Time of one batch from file values to labels, and its breakdown.

Shape legend: B batch, C channels, *S spatial axes.
"""

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from limner.core.outputs import DenseLogits
from limner.core.plan import ResizePlan
from limner.decoding.label_maps import semantic_labels
from limner.devices.device import synchronize
from limner.devices.memory import peak_bytes, reset_peak
from limner.devices.precision import precision_context
from limner.inference.fitted_images import fit_images

STAGES = ("pre-processing", "network", "post-processing")
"""Stages: copying, resizing and normalising; the forward pass; labels at the image's size."""

WARM_UP = 2
"""Warm-up passes, which are not timed."""

FEWEST, MOST, LONGEST_SECONDS = 5, 100, 10.0
"""Minimum and maximum number of timed passes within the time limit."""

AS_THEY_ARE = ResizePlan()


@dataclass(frozen=True)
class NetworkSpeed:
    """Times of passes over one batch.

    Attributes:
        passes: Number of timed passes.
        median_seconds: Median time of a pass, all three stages.
        percentile_95_seconds: 95th percentile of the time of a pass.
        images_per_second: Throughput at the median time.
        shares: Stage -> its fraction of the time.
        peak_bytes: On an accelerator, the peak memory of tensors including weights; on a CPU, the growth of
            the process; None if unknown, as where an earlier peak cannot be reset.
    """

    passes: int
    median_seconds: float
    percentile_95_seconds: float
    images_per_second: float
    shares: dict[str, float]
    peak_bytes: int | None


def measure_speed(
    network: nn.Module,
    normalization: nn.Module,
    *,
    size: tuple[int, ...],
    channels: int,
    batch: int,
    device: torch.device,
    precision: str = "float32",
    resize: ResizePlan = AS_THEY_ARE,
) -> NetworkSpeed:
    """Time random images from bytes in memory to labels in memory, without reading files.

    Args:
        network: In evaluation mode, on the device.
        normalization: Converts file values to network input.
        size: *S.
        channels: C.
        batch: B.
        device: Device to run on.
        precision: Precision of the computation.
        resize: Size to which images are resized for the network; labels have the images' size.
    """
    images = np.random.default_rng(0).integers(0, 256, (batch, *size, channels), dtype=np.uint8)
    reset_peak(device)
    before = peak_bytes(device)
    times: list[tuple[float, ...]] = []
    with torch.inference_mode(), precision_context(device, precision):
        for _ in range(WARM_UP):
            _timed_pass(network, normalization, images, device, resize)
        began = time.perf_counter()
        while len(times) < FEWEST or (len(times) < MOST and time.perf_counter() - began < LONGEST_SECONDS):
            times.append(_timed_pass(network, normalization, images, device, resize))
    after = peak_bytes(device)
    grown = after
    if device.type == "cpu" and after is not None and before is not None:
        grown = after - before or None  # an earlier peak, as of loading the weights, hides this one
    return _summary(np.array(times), batch, grown)


def _timed_pass(
    network: nn.Module,
    normalization: nn.Module,
    images: np.ndarray,
    device: torch.device,
    resize: ResizePlan,
) -> tuple[float, ...]:
    """Return the seconds of each stage."""
    marks = [time.perf_counter()]

    def mark() -> None:
        synchronize(device)
        marks.append(time.perf_counter())

    pixels = torch.from_numpy(images).to(device).movedim(-1, 1)
    inputs = normalization(fit_images(pixels, resize))
    mark()
    outputs = network(inputs)
    mark()
    if isinstance(outputs, DenseLogits):
        semantic_labels(outputs, pixels.shape[2:]).cpu()
    mark()
    return tuple(end - begin for begin, end in zip(marks, marks[1:], strict=False))


def _summary(times: np.ndarray, batch: int, peak: int | None) -> NetworkSpeed:
    totals = times.sum(1)
    median = float(np.median(totals))
    shares = np.median(times, axis=0)
    return NetworkSpeed(
        passes=len(times),
        median_seconds=median,
        percentile_95_seconds=float(np.percentile(totals, 95)),
        images_per_second=batch / median,
        shares=dict(zip(STAGES, (shares / shares.sum()).tolist(), strict=True)),
        peak_bytes=peak,
    )
