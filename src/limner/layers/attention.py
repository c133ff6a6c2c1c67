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
        q, k, v = self._projected(queries, keys, values)
        mask = None if seen is None else seen.unsqueeze(1)
        dropped = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropped)
        projected: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return projected

    def weights(self, queries: Tensor, keys: Tensor, *, seen: Tensor | None = None) -> Tensor:
        """Return (B, N, M) how much each query takes from each key, the mean of the heads; rows add up to 1.

        `forward` never holds them; they are for looking at.

        Args:
            queries: As in `forward`.
            keys: As in `forward`.
            seen: As in `forward`.
        """
        q, k = self._projected(queries, keys)
        scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
        if seen is not None:
            scores = scores.masked_fill(~seen.unsqueeze(1), -torch.inf)
        shares: Tensor = scores.softmax(-1).mean(1)
        return shares

    def _projected(self, *inputs: Tensor) -> list[Tensor]:
        """Return queries, keys and values, as far as given, as (B, h, N or M, C / h)."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        return [
            F.linear(x, weight, bias).view(*x.shape[:2], self.heads, -1).transpose(1, 2)
            for x, weight, bias in zip(inputs, weights, biases, strict=False)
        ]
