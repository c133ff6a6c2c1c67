"""Stochastic depth: in training, a residual branch is dropped for some images.

Paper: Deep Networks with Stochastic Depth (Huang et al., ECCV 2016), https://arxiv.org/abs/1603.09382.
"""

import torch
from torch import nn


class DropPath(nn.Module):
    """Drop a branch with probability `rate` for each image of a batch, and scale it up for the others.

    Shape legend: B batch, *S any other axes.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: torch.Tensor) -> torch.Tensor:
        """Map (B, *S) to (B, *S)."""
        if not self.training or not self.rate:
            return branch
        kept = branch.new_empty(branch.shape[0], *[1] * (branch.ndim - 1)).bernoulli_(1 - self.rate)
        return branch * kept.div_(1 - self.rate)

    def extra_repr(self) -> str:
        """Return the rate for the module's repr."""
        return f"rate={self.rate}"


def drop_path_rates(rate: float, num_blocks: int) -> list[float]:
    """Return one rate per block, rising from 0 to `rate`, as in the paper's section 3."""
    return [rate * index / max(num_blocks - 1, 1) for index in range(num_blocks)]
