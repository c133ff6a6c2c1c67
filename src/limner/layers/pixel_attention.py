"""Attention between the pixels of two maps.

Paper: Non-local Neural Networks (Wang et al., CVPR 2018), https://arxiv.org/abs/1711.07971.
"""

import torch
from torch.nn import functional as F


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, scale: float | None = None
) -> torch.Tensor:
    """Compute dot-product attention from each pixel of one map to the pixels of another.

    The attention matrix is not materialised if the device has a fused kernel for these widths.

    Args:
        query: (B, D, h, w).
        key: (B, D, *S), of any number of pixels.
        value: (B, E, *S), with the same number of pixels.
        scale: Factor of the products before the softmax; defaults to 1 / sqrt(D).

    Returns:
        (B, E, h, w).
    """
    # One head; the pixels are the sequence.
    q, k, v = (x.flatten(2).transpose(1, 2).unsqueeze(1) for x in (query, key, value))  # (B, 1, pixels, ·)
    mixed = F.scaled_dot_product_attention(q, k, v, scale=scale)
    return mixed.squeeze(1).transpose(1, 2).reshape(*value.shape[:2], *query.shape[2:])
