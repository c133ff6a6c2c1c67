"""A 3x3 convolution of a map whose pixels were repeated, at less than half its cost."""

import torch
from torch.nn import functional as F

# Row y of a 3x3 kernel falls on these rows of the transposed 4x4 kernel: pixel i of the coarse map stands at
# 2i and 2i + 1 of the fine one, and reaches the output rows 2i - 1 + t for t in {2 - y, 3 - y}.
_SPREAD = ((0.0, 0.0, 1.0, 1.0), (0.0, 1.0, 1.0, 0.0), (1.0, 1.0, 0.0, 0.0))

_FEWEST_PIXELS = 512
"""Below this many coarse pixels in the batch, making the kernel costs more than it saves: measured."""


def is_faster_fused(features: torch.Tensor) -> bool:
    """Tell whether `convolve_repeated` is faster than repeating the pixels of `features`: (B, C, h, w).

    Measured on CPU only; graphs that are traced keep the plain form, which every runtime knows.
    """
    pixels = features.shape[0] * features.shape[2] * features.shape[3]
    return features.device.type == "cpu" and not torch.compiler.is_compiling() and pixels >= _FEWEST_PIXELS


def convolve_repeated(features: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Repeat each pixel into 2x2, then convolve by 3x3 with zeros around, in one step.

    Each pixel of the output sees nine repeated pixels but only four different ones, so that four products
    suffice where the plain form takes nine. The result equals
    ``conv2d(interpolate(features, scale_factor=2, mode="nearest"), weight, padding=1)`` up to rounding, and
    so do the gradients.

    Args:
        features: (B, C, h, w) float.
        weight: (D, C, 3, 3) float, as of a convolution.

    Returns:
        (B, D, 2h, 2w).
    """
    spread = weight.new_tensor(_SPREAD)
    taps = torch.einsum("yt,xs->yxts", spread, spread).reshape(9, 16)
    out_channels, in_channels = weight.shape[:2]
    kernel = (weight.reshape(out_channels * in_channels, 9) @ taps).reshape(out_channels, in_channels, 4, 4)
    return F.conv_transpose2d(features, kernel.transpose(0, 1), stride=2, padding=1)
