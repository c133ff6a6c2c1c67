"""Fused nearest-neighbour upsampling and 3x3 convolution, at less than half the cost."""

import torch
from torch.nn import functional as F

# Row y of a 3x3 kernel falls on these rows of the transposed 4x4 kernel: pixel i of the coarse map is at
# 2i and 2i + 1 of the fine one, and reaches the output rows 2i - 1 + t for t in {2 - y, 3 - y}.
_SPREAD = ((0.0, 0.0, 1.0, 1.0), (0.0, 1.0, 1.0, 0.0), (1.0, 1.0, 0.0, 0.0))

_FEWEST_PIXELS = 512
"""Below this number of coarse pixels in the batch, computing the kernel costs more than it saves
(measured)."""


def is_faster_fused(features: torch.Tensor) -> bool:
    """Return whether `convolve_repeated` is faster than upsampling `features`, (B, C, h, w), first.

    Measured on CPU only. Traced graphs keep the unfused form, which every runtime supports.
    """
    pixels = features.shape[0] * features.shape[2] * features.shape[3]
    return features.device.type == "cpu" and not torch.compiler.is_compiling() and pixels >= _FEWEST_PIXELS


def convolve_repeated(features: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Upsample by two (nearest neighbour) and apply a zero-padded 3x3 convolution in one step.

    Each output pixel depends on nine repeated pixels but only four different ones, so four products are
    enough where the unfused form needs nine. The result equals
    ``conv2d(interpolate(features, scale_factor=2, mode="nearest"), weight, padding=1)`` up to rounding, and
    so do the gradients.

    Args:
        features: (B, C, h, w) float.
        weight: (D, C, 3, 3) float, weight of the convolution.

    Returns:
        (B, D, 2h, 2w).
    """
    spread = weight.new_tensor(_SPREAD)
    taps = torch.einsum("yt,xs->yxts", spread, spread).reshape(9, 16)
    out_channels, in_channels = weight.shape[:2]
    kernel = (weight.reshape(out_channels * in_channels, 9) @ taps).reshape(out_channels, in_channels, 4, 4)
    return F.conv_transpose2d(features, kernel.transpose(0, 1), stride=2, padding=1)
