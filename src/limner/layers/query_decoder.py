"""DETR's decoder: self-attention of learned queries and cross-attention to one map.

Paper: End-to-End Object Detection with Transformers (Carion et al., ECCV 2020),
https://arxiv.org/abs/2005.12872.

Shape legend: B batch, Q queries, C channels, h and w the map's height and width.
"""

import torch
from torch import Tensor, nn

from limner.layers.initialization import init_uniform
from limner.layers.query_layer import QueryLayer
from limner.layers.sine_position import sine_position


class QueryDecoder(nn.Module):
    """Transformer decoder; queries start at zero and differ only in their learned positions."""

    def __init__(
        self,
        width: int,
        channels: int,
        *,
        num_queries: int,
        num_layers: int,
        heads: int,
        feedforward: int,
        dropout: float,
    ) -> None:
        """Build the decoder.

        Args:
            width: Channels of the map; a 1x1 convolution projects it if they differ from C.
            channels: C.
            num_queries: Q.
            num_layers: Number of layers.
            heads: Number of heads of all attention layers.
            feedforward: Hidden channels of the MLPs.
            dropout: As in `QueryLayer`.
        """
        super().__init__()
        self.input_proj = nn.Identity() if width == channels else nn.Conv2d(width, channels, 1)
        self.query_embed = nn.Parameter(torch.randn(num_queries, channels))
        self.layers = nn.ModuleList(
            QueryLayer(channels, heads=heads, feedforward=feedforward, dropout=dropout, queries_first=True)
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(channels)
        init_uniform(self.input_proj)

    def forward(self, features: Tensor) -> list[Tensor]:
        """Map (B, width, h, w) to the queries (B, Q, C) after each layer, first to last."""
        features = self.input_proj(features)
        values = features.flatten(2).transpose(1, 2)
        size = (features.shape[2], features.shape[3])
        keys = values + sine_position(size, values.shape[-1], like=values)
        queries = self.query_embed.new_zeros(len(values), *self.query_embed.shape)
        decoded = []
        for layer in self.layers:
            queries = layer(queries, self.query_embed, keys, values)
            decoded.append(self.norm(queries))
        return decoded
