"""Mask features of all decoder layers: one shared tensor, or one per layer.

Shape legend: L decoder layers, B batch, C channels, P points, *s spatial axes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from torch import Tensor

from limner.core.outputs import QueryMasks
from limner.losses.points import sample_at


@dataclass(frozen=True)
class LayerFeatures:
    """Features of all layers, without duplicate tensors.

    Attributes:
        maps: The tensors in layer order: (B, C, *s), or (C, *s) for one image.
        counts: Number of consecutive layers that share each tensor.
    """

    maps: tuple[Tensor, ...]
    counts: tuple[int, ...]

    def of(self, image: int) -> "LayerFeatures":
        """Return the features of one image of the batch."""
        return LayerFeatures(tuple(maps[image] for maps in self.maps), self.counts)

    def split(self, rows: Tensor) -> list[Tensor]:
        """Split a tensor with one row per layer, (L, ...), into groups of layers that share features."""
        ends = [sum(self.counts[: index + 1]) for index in range(len(self.counts))]
        return [rows[end - count : end] for end, count in zip(ends, self.counts, strict=True)]


def features_of(layers: Sequence[QueryMasks]) -> LayerFeatures:
    """Collect the features of all layers."""
    shared = [list(group) for _, group in groupby(layers, key=lambda layer: id(layer.features))]
    return LayerFeatures(tuple(group[0].features for group in shared), tuple(map(len, shared)))


def at_points(maps: Tensor, points: Tensor) -> Tensor:
    """Sample the features of one image (C, *s) at points (P, 2), in float32: (C, P)."""
    return sample_at(maps.float().unsqueeze(0), points.unsqueeze(0))[0]
