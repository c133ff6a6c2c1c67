"""Transformer layers with deformable attention: of pixels, and of queries to pixels.

Paper: Deformable DETR (Zhu et al., ICLR 2021), https://arxiv.org/abs/2010.04159.

Shape legend: B batch, Q queries, C channels, M pixels of all levels.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from limner.layers.attention import MultiheadAttention
from limner.layers.deformable_attention import DeformableAttention, Size
from limner.layers.dropout import Dropout
from limner.layers.query_layer import FeedForward


class DeformablePixelLayer(nn.Module):
    """Deformable self-attention over the pixels of all levels, then an MLP."""

    def __init__(
        self, channels: int, *, heads: int, levels: int, points: int, feedforward: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.self_attn = DeformableAttention(channels, heads=heads, levels=levels, points=points)
        self.norm1 = nn.LayerNorm(channels)
        self.feedforward = FeedForward(channels, feedforward, dropout=dropout, recompute=True)
        self.dropout = Dropout(dropout)

    def forward(self, pixels: Tensor, position: Tensor, references: Tensor, sizes: Sequence[Size]) -> Tensor:
        """Map pixels (B, M, C) with their positions (M, C) to (B, M, C)."""
        attended = self.self_attn(pixels + position, pixels, references, sizes)
        result: Tensor = self.feedforward(self.norm1(pixels + self.dropout(attended)))
        return result


class DeformableQueryLayer(nn.Module):
    """Self-attention of queries, deformable attention to the pixels, then an MLP."""

    def __init__(
        self, channels: int, *, heads: int, levels: int, points: int, feedforward: int, dropout: float
    ) -> None:
        super().__init__()
        self.self_attn = MultiheadAttention(channels, heads, dropout=dropout)
        self.self_norm = nn.LayerNorm(channels)
        self.cross_attn = DeformableAttention(channels, heads=heads, levels=levels, points=points)
        self.cross_norm = nn.LayerNorm(channels)
        self.feedforward = FeedForward(channels, feedforward, dropout=dropout)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        queries: Tensor,
        position: Tensor,
        memory: Tensor,
        references: Tensor,
        sizes: Sequence[Size],
        *,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Map queries (B, Q, C) to (B, Q, C).

        Args:
            queries: (B, Q, C).
            position: (B, Q, C), added to queries and keys.
            memory: (B, M, C).
            references: (B, Q, 2) points, or (B, Q, 4) boxes.
            sizes: Height and width of each level.
            mask: (B or 1, Q, Q) bool, true for queries that a query may attend to; None allows all.
        """
        placed = queries + position
        attended = self.self_attn(placed, placed, queries, mask=mask)
        queries = self.self_norm(queries + self.dropout(attended))
        added = self.cross_attn(queries + position, memory, references[:, :, None], sizes)
        result: Tensor = self.feedforward(self.cross_norm(queries + self.dropout(added)))
        return result
