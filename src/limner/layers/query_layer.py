"""The layer of a query decoder: queries look at pixels and at each other.

Papers: End-to-End Object Detection with Transformers (Carion et al., ECCV 2020),
https://arxiv.org/abs/2005.12872; with areas and the other order, Mask2Former (Cheng et al., CVPR 2022),
https://arxiv.org/abs/2112.01527.

Shape legend: B batch, Q queries, M pixels, C channels.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from limner.layers.attention import MultiheadAttention


class QueryLayer(nn.Module):
    """Queries look at pixels, and at each other before or after, then a perceptron."""

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
            heads: Of both attentions.
            feedforward: Channels inside the perceptron.
            dropout: Part of what each branch adds, of the attention's weights and inside the perceptron.
            queries_first: Let queries look at each other before they look at pixels, as DETR does.
        """
        super().__init__()
        self.cross_attn = MultiheadAttention(channels, heads, dropout=dropout)
        self.cross_norm = nn.LayerNorm(channels)
        self.self_attn = MultiheadAttention(channels, heads, dropout=dropout)
        self.self_norm = nn.LayerNorm(channels)
        self.feedforward = FeedForward(channels, feedforward, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self._queries_first = queries_first

    def forward(
        self, queries: Tensor, position: Tensor, keys: Tensor, values: Tensor, seen: Tensor | None = None
    ) -> Tensor:
        """Map queries (B, Q, C) to (B, Q, C).

        Args:
            queries: (B, Q, C).
            position: (Q, C), added wherever queries ask or are asked.
            keys: (B, M, C) pixels with their positions.
            values: (B, M, C) the pixels without.
            seen: (B, Q, M) bool, which pixels each query sees; None lets them see all.
        """
        if self._queries_first:
            queries = self._look_at_each_other(queries, position)
        added = self.cross_attn(queries + position, keys, values, seen=seen)
        queries = self.cross_norm(queries + self.dropout(added))
        if not self._queries_first:
            queries = self._look_at_each_other(queries, position)
        result: Tensor = self.feedforward(queries)
        return result

    def _look_at_each_other(self, queries: Tensor, position: Tensor) -> Tensor:
        placed = queries + position
        added = self.self_attn(placed, placed, queries)
        normed: Tensor = self.self_norm(queries + self.dropout(added))
        return normed


class FeedForward(nn.Module):
    """Two linear layers, a shortcut, a norm."""

    def __init__(self, channels: int, width: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.linear1 = nn.Linear(channels, width)
        self.linear2 = nn.Linear(width, channels)
        self.norm = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)
        for linear in (self.linear1, self.linear2):
            nn.init.xavier_uniform_(linear.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., C) to (..., C)."""
        inside = self.dropout(F.relu(self.linear1(x), inplace=True))
        result: Tensor = self.norm(x + self.dropout(self.linear2(inside)))
        return result
