"""What makes segments of queries, the same in every network of queries.

Shape legend: B batch, Q queries, K classes, C channels, *s spatial axes.
"""

from torch import Tensor, nn

from limner.core.outputs import QueryMasks


def mask_embedding(channels: int, *, activation: type[nn.ReLU] | type[nn.GELU] = nn.ReLU) -> nn.Sequential:
    """Build the three layers from a query (B, Q, C) to what its mask is the product of with the features."""
    return nn.Sequential(
        nn.Linear(channels, channels),
        activation(),
        nn.Linear(channels, channels),
        activation(),
        nn.Linear(channels, channels),
    )


class SegmentHead(nn.Module):
    """A class for each query by one layer, and what its mask is the product with by three."""

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
