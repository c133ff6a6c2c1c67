"""Sizes of networks whose convolutions are not padded."""

from collections.abc import Sequence

import torch

SHRINK = 4
"""Pixels that two 3x3 convolutions without padding take from each axis."""


def mirror_for_valid_convolutions(images: torch.Tensor, *, depth: int) -> torch.Tensor:
    """Mirror an image at its borders so that a U-Net without padding gives scores for all of it.

    The first score belongs to the image's first pixel; behind the last one there may be a few more.

    Args:
        images: (B, C, *S).
        depth: How often the network halves the resolution.
    """
    factor = 2**depth
    for axis in range(2, images.ndim):
        length = images.shape[axis]
        # A coarsest map of b pixels comes from factor * b + taken pixels and gives factor * b - given ones.
        taken = SHRINK * (factor - 1)
        given = SHRINK * factor + taken
        coarsest = -((length + given) // -factor)
        before = (taken + given) // 2
        position = torch.arange(factor * coarsest + taken, device=images.device) - before
        images = images.index_select(axis, _mirrored(position, length))
    return images


def crop_centre(features: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Cut the middle of (B, C, *S) to (B, C, *size)."""
    if features.shape[2:] == torch.Size(size):
        return features
    for axis, want in enumerate(size, start=2):
        features = features.narrow(axis, (features.shape[axis] - want) // 2, want)
    return features


def _mirrored(position: torch.Tensor, length: int) -> torch.Tensor:
    """Fold any position into 0..length-1 as between two mirrors, without repeating the border pixel."""
    period = max(2 * (length - 1), 1)
    folded = position.remainder(period)
    return torch.minimum(folded, period - folded) if length > 1 else torch.zeros_like(position)
