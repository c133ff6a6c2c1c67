"""The layer of a transformer encoder: self-attention of the pixels of one map, then an MLP.

Paper: End-to-End Object Detection with Transformers (Carion et al., ECCV 2020),
https://arxiv.org/abs/2005.12872.

Shape legend: B batch, M pixels, C channels.
"""

from torch import Tensor, nn

from limner.layers.activation import ActivationName
from limner.layers.attention import MultiheadAttention
from limner.layers.dropout import Dropout
from limner.layers.query_layer import FeedForward


class PixelLayer(nn.Module):
    """Self-attention and an MLP, each with a shortcut and then a norm."""

    def __init__(
        self,
        channels: int,
        *,
        heads: int,
        feedforward: int,
        dropout: float = 0.0,
        activation: ActivationName = "relu",
    ) -> None:
        """Build the layer.

        Args:
            channels: C.
            heads: Number of heads.
            feedforward: Hidden channels of the MLP.
            dropout: Dropout rate of each branch's output, of the attention weights and inside the MLP.
            activation: Activation inside the MLP.
        """
        super().__init__()
        self.self_attn = MultiheadAttention(channels, heads, dropout=dropout)
        self.norm = nn.LayerNorm(channels)
        self.dropout = Dropout(dropout)
        self.feedforward = FeedForward(channels, feedforward, dropout=dropout, activation=activation)

    def forward(self, pixels: Tensor, position: Tensor) -> Tensor:
        """Map pixels (B, M, C) with their positions (M, C) to (B, M, C)."""
        placed = pixels + position
        normed = self.norm(pixels + self.dropout(self.self_attn(placed, placed, pixels)))
        result: Tensor = self.feedforward(normed)
        return result
