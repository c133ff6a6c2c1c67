"""The layer of a query decoder: cross-attention to pixels and self-attention of queries.

Papers: End-to-End Object Detection with Transformers (Carion et al., ECCV 2020),
https://arxiv.org/abs/2005.12872; with masks and the reversed order, Mask2Former (Cheng et al., CVPR 2022),
https://arxiv.org/abs/2112.01527.

Shape legend: B batch, Q queries, M pixels, C channels.
"""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from limner.layers.activation import ActivationName, build_activation
from limner.layers.attention import MultiheadAttention
from limner.layers.dropout import Dropout


class QueryLayer(nn.Module):
    """Cross-attention to pixels, self-attention of queries before or after it, then an MLP."""

    def __init__(
        self,
        channels: int,
        *,
        heads: int,
        feedforward: int,
        dropout: float = 0.0,
        queries_first: bool = False,
    ) -> None:
        """Build the layer.

        Args:
            channels: C.
            heads: Number of heads of both attention layers.
            feedforward: Hidden channels of the MLP.
            dropout: Dropout rate of each branch's output, of the attention weights and inside the MLP.
            queries_first: Apply self-attention before cross-attention, as in DETR.
        """
        super().__init__()
        self.cross_attn = MultiheadAttention(channels, heads, dropout=dropout)
        self.cross_norm = nn.LayerNorm(channels)
        self.self_attn = MultiheadAttention(channels, heads, dropout=dropout)
        self.self_norm = nn.LayerNorm(channels)
        self.feedforward = FeedForward(channels, feedforward, dropout=dropout)
        self.dropout = Dropout(dropout)
        self._queries_first = queries_first

    def forward(
        self, queries: Tensor, position: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Map queries (B, Q, C) to (B, Q, C).

        Args:
            queries: (B, Q, C).
            position: (Q, C), added to queries and keys of the queries.
            keys: (B, M, C) pixels with their positions.
            values: (B, M, C) pixels without positions.
            mask: (B, Q, M) bool, true for pixels that each query may attend to; None allows all.
        """
        if self._queries_first:
            queries = self._self_attention(queries, position)
        added = self.cross_attn(queries + position, keys, values, mask=mask)
        queries = self.cross_norm(queries + self.dropout(added))
        if not self._queries_first:
            queries = self._self_attention(queries, position)
        result: Tensor = self.feedforward(queries)
        return result

    def _self_attention(self, queries: Tensor, position: Tensor) -> Tensor:
        placed = queries + position
        added = self.self_attn(placed, placed, queries)
        normed: Tensor = self.self_norm(queries + self.dropout(added))
        return normed


class FeedForward(nn.Module):
    """Two linear layers with a shortcut, then a norm."""

    def __init__(
        self,
        channels: int,
        width: int,
        *,
        dropout: float = 0.0,
        activation: ActivationName = "relu",
        recompute: bool = False,
    ) -> None:
        """Build the layer.

        Args:
            channels: Channels of input and output.
            width: Hidden channels.
            dropout: Dropout rate of the hidden channels and of the output.
            activation: Activation of the hidden channels.
            recompute: Compute the hidden channels again in the backward pass instead of keeping them: less
                memory for one matrix product more.
        """
        super().__init__()
        self._recomputes = recompute
        self.linear1 = nn.Linear(channels, width)
        self.act = build_activation(activation)
        self.linear2 = nn.Linear(width, channels)
        self.norm = nn.LayerNorm(channels)
        self.dropout = Dropout(dropout)
        for linear in (self.linear1, self.linear2):
            nn.init.xavier_uniform_(linear.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., C) to (..., C)."""
        if self._recomputes and self.training and torch.is_grad_enabled():
            draws = self.dropout.p > 0
            added: Tensor = checkpoint(self._added, x, use_reentrant=False, preserve_rng_state=draws)
        else:
            added = self._added(x)
        result: Tensor = self.norm(x + added)
        return result

    def _added(self, x: Tensor) -> Tensor:
        added: Tensor = self.dropout(self.linear2(self.dropout(self.act(self.linear1(x)))))
        return added
