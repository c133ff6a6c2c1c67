"""Input sizes and cropping for networks without padding."""

from collections.abc import Sequence

import torch

SHRINK = 4
"""Pixels that two unpadded 3x3 convolutions remove from each axis."""


def mirror_for_valid_convolutions(images: torch.Tensor, *, depth: int) -> torch.Tensor:
    """Mirror an image at its borders so that the output of an unpadded U-Net covers all of it.

    The first output pixel is the image's first pixel; there may be a few more after the last.

    Args:
        images: (B, C, *S).
        depth: Number of times that the network halves the resolution.
    """
    factor = 2**depth
    for axis in range(2, images.ndim):
        length = images.shape[axis]
        # A coarsest map of b pixels needs factor * b + taken input pixels and yields factor * b - given ones.
        taken = SHRINK * (factor - 1)
        given = SHRINK * factor + taken
        coarsest = -((length + given) // -factor)
        before = (taken + given) // 2
        position = torch.arange(factor * coarsest + taken, device=images.device) - before
        images = images.index_select(axis, _mirrored(position, length))
    return images


def crop_centre(features: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Crop the centre of (B, C, *S) to (B, C, *size)."""
    if features.shape[2:] == torch.Size(size):
        return features
    for axis, want in enumerate(size, start=2):
        features = features.narrow(axis, (features.shape[axis] - want) // 2, want)
    return features


def _mirrored(position: torch.Tensor, length: int) -> torch.Tensor:
    """Map any position to 0..length-1 by reflection, without repeating the border pixel."""
    period = max(2 * (length - 1), 1)
    folded = position.remainder(period)
    return torch.minimum(folded, period - folded) if length > 1 else torch.zeros_like(position)
