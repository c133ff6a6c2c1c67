"""Batches: several samples of one size, as tensors.

Shape legend: B batch, C channels, N segments, *S spatial axes.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class SegmentTargets:
    """The segments (instances of things, regions of stuff) of one image of a batch; N may be 0.

    Attributes:
        masks: (N, *S) bool; masks of one image may overlap.
        labels: (N,) int64 trained labels 0..K-1.
    """

    masks: torch.Tensor
    labels: torch.Tensor

    def to(self, device: torch.device, *, non_blocking: bool = True) -> "SegmentTargets":
        """Return the targets on `device`."""
        return SegmentTargets(
            self.masks.to(device, non_blocking=non_blocking),
            self.labels.to(device, non_blocking=non_blocking),
        )


@dataclass(frozen=True)
class Batch:
    """Samples of one size, stacked.

    Attributes:
        images: (B, C, *S) in the values of the file (uint8 stays uint8 until the device normalises),
            channels-last in memory.
        semantic: (B, *S) uint8 trained labels with `IGNORE_INDEX`, or None.
        names: The record names, B of them.
        segments: B of them, or None where the task has no use for them.
    """

    images: torch.Tensor
    semantic: torch.Tensor | None
    names: tuple[str, ...]
    segments: tuple[SegmentTargets, ...] | None = None

    def to(self, device: torch.device, *, non_blocking: bool = True) -> "Batch":
        """Return the batch on `device`."""
        semantic = None if self.semantic is None else self.semantic.to(device, non_blocking=non_blocking)
        segments = self.segments
        if segments is not None:
            segments = tuple(each.to(device, non_blocking=non_blocking) for each in segments)
        return Batch(self.images.to(device, non_blocking=non_blocking), semantic, self.names, segments)
