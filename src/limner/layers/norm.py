"""Normalisation by name, and batch normalisation that survives a single value per channel.

Shape legend: B batch, C channels, *S spatial axes.
"""

from math import gcd
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

NormName = Literal["none", "batch", "instance", "group"]


class _Tolerant:
    """Batch normalisation that uses its running statistics where a batch has none.

    The pooling branch of PSPNet and DeepLab normalises a 1x1 map: with one image in the batch there is
    a single value per channel, whose variance does not exist, and PyTorch stops. The usual ways out cost
    more than they give: a batch of two is not always affordable, and leaving the normalisation out
    changes the network. Here such a batch is normalised with the running mean and variance, as in
    evaluation, and leaves them as they are; every other batch is treated exactly as PyTorch does.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise `x`: (B, C, *S) -> (B, C, *S)."""
        assert isinstance(self, (nn.BatchNorm2d, nn.BatchNorm3d))  # PyTorch 2.6 cannot export a union here
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
            )
        return super().forward(x)  # type: ignore[misc, no-any-return]


class TolerantBatchNorm2d(_Tolerant, nn.BatchNorm2d):
    """`_Tolerant` for images."""


class TolerantBatchNorm3d(_Tolerant, nn.BatchNorm3d):
    """`_Tolerant` for volumes."""


def build_norm(
    name: NormName, channels: int, *, spatial_dims: int = 2, affine: bool = True, groups: int = 8
) -> nn.Module:
    """Return the normalisation layer called `name`.

    Args:
        name: ``none`` gives an identity.
        channels: Channels of the map that is normalised.
        spatial_dims: 2 or 3.
        affine: Whether it learns a scale and a shift.
        groups: Wanted groups of ``group``; fewer where they do not divide the channels.
    """
    if name == "batch":
        kind = TolerantBatchNorm2d if spatial_dims == 2 else TolerantBatchNorm3d
        return kind(channels, affine=affine)
    if name == "instance":
        instance = nn.InstanceNorm2d if spatial_dims == 2 else nn.InstanceNorm3d
        return instance(channels, affine=affine)
    if name == "group":
        return nn.GroupNorm(gcd(groups, channels), channels, affine=affine)
    return nn.Identity()
