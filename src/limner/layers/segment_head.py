"""The head that predicts segments from queries, shared by all query networks.

Shape legend: B batch, Q queries, K classes, C channels, *s spatial axes.
"""

from torch import Tensor, nn

from limner.core.outputs import QueryMasks


def mask_embedding(channels: int, *, activation: type[nn.ReLU] | type[nn.GELU] = nn.ReLU) -> nn.Sequential:
    """Build the three-layer MLP from queries (B, Q, C) to mask embeddings, multiplied with the features."""
    return nn.Sequential(
        nn.Linear(channels, channels),
        activation(),
        nn.Linear(channels, channels),
        activation(),
        nn.Linear(channels, channels),
    )


class SegmentHead(nn.Module):
    """Class logits by a linear layer and mask embeddings by an MLP, for each query."""

    def __init__(
        self, channels: int, num_classes: int, *, activation: type[nn.ReLU] | type[nn.GELU] = nn.ReLU
    ) -> None:
        super().__init__()
        self.class_embed = nn.Linear(channels, num_classes + 1)
        self.mask_embed = mask_embedding(channels, activation=activation)

    def forward(
        self, queries: Tensor, features: Tensor, auxiliary: tuple[QueryMasks, ...] = ()
    ) -> QueryMasks:
        """Return the segments of queries (B, Q, C) on features (B, C, *s), with those of earlier layers."""
        return QueryMasks(self.class_embed(queries), self.mask_embed(queries), features, auxiliary)
