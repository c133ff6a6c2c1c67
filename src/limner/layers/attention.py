"""Attention of queries to keys, with its parameters as PyTorch's `nn.MultiheadAttention` names them.

Shape legend: B batch, N queries, M keys, C channels, h heads.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MultiheadAttention(nn.Module):
    """Scaled dot-product attention, batch first.

    PyTorch's own layer, and its weights, but for one thing: a mask is given once for all heads, and stays
    one bit a pair instead of becoming a number for each head.
    """

    def __init__(self, channels: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        assert channels % heads == 0, f"{channels} channels cannot be shared by {heads} heads"
        self.heads = heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * channels, channels))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * channels))
        self.out_proj = nn.Linear(channels, channels)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, *, seen: Tensor | None = None) -> Tensor:
        """Attend.

        Args:
            queries: (B, N, C), position included.
            keys: (B, M, C), position included.
            values: (B, M, C).
            seen: (B, N, M) bool, which keys a query sees: one at least. None lets all see everything.

        Returns:
            (B, N, C).
        """
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (
            F.linear(x, weight, bias)
            .view(*x.shape[:2], self.heads, -1)
            .transpose(1, 2)  # (B, h, N or M, C / h)
            for x, weight, bias in zip((queries, keys, values), weights, biases, strict=True)
        )
        mask = None if seen is None else seen.unsqueeze(1)
        dropped = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropped)
        projected: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return projected
