"""Batches: several samples of one size, as tensors.

Shape legend: B batch, C channels, *S spatial axes.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Batch:
    """Samples of one size, stacked.

    Attributes:
        images: (B, C, *S) in the values of the file (uint8 stays uint8 until the device normalises),
            channels-last in memory.
        semantic: (B, *S) uint8 trained labels with `IGNORE_INDEX`, or None.
        names: The record names, B of them.
    """

    images: torch.Tensor
    semantic: torch.Tensor | None
    names: tuple[str, ...]

    def to(self, device: torch.device, *, non_blocking: bool = True) -> "Batch":
        """Return the batch on `device`."""
        semantic = None if self.semantic is None else self.semantic.to(device, non_blocking=non_blocking)
        return Batch(self.images.to(device, non_blocking=non_blocking), semantic, self.names)
