"""Multi-head attention with the parameter names of PyTorch's `nn.MultiheadAttention`.

Shape legend: B batch, N queries, M keys, C channels, h heads.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MultiheadAttention(nn.Module):
    """Scaled dot-product attention, batch first.

    Like PyTorch's layer, with the same weights, except that the mask is shared by all heads and stays
    boolean instead of being expanded to a float per head.
    """

    def __init__(self, channels: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        assert channels % heads == 0, f"{channels} channels are not divisible by {heads} heads"
        self.heads = heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * channels, channels))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * channels))
        self.out_proj = nn.Linear(channels, channels)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """Compute attention.

        Args:
            queries: (B, N, C), including positions.
            keys: (B, M, C), including positions.
            values: (B, M, C).
            mask: (B or 1, N, M) bool, true for keys that a query may attend to, at least one each. None
                allows all.

        Returns:
            (B, N, C).
        """
        q, k, v = self._projected(queries, keys, values)
        mask = None if mask is None else mask.unsqueeze(1)
        dropped = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropped)
        projected: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return projected

    def weights(self, queries: Tensor, keys: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """Return the attention weights, (B, N, M), averaged over the heads; rows sum to 1.

        `forward` never materialises them; they are for visualisation.

        Args:
            queries: As in `forward`.
            keys: As in `forward`.
            mask: As in `forward`.
        """
        q, k = self._projected(queries, keys)
        scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(~mask.unsqueeze(1), -torch.inf)
        shares: Tensor = scores.softmax(-1).mean(1)
        return shares

    def _projected(self, *inputs: Tensor) -> list[Tensor]:
        """Project queries, keys and optionally values to (B, h, N or M, C / h)."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        return [
            F.linear(x, weight, bias).view(*x.shape[:2], self.heads, -1).transpose(1, 2)
            for x, weight, bias in zip(inputs, weights, biases, strict=False)
        ]
