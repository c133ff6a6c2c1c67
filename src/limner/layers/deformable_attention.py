"""Multi-scale deformable attention: each query samples a few learned points of each level.

Paper: Deformable DETR (Zhu et al., ICLR 2021), https://arxiv.org/abs/2010.04159. Authors' code:
https://github.com/fundamentalvision/Deformable-DETR (Apache-2.0 licence), a compiled CUDA operator; here it
is `grid_sample`, or a Triton kernel where that is faster. Parameters have the same names, so their weights
load.

What differs, and why: the sampled values, (B, N, heads, levels, points, D), are never all kept in memory.
They are summed point by point and sampled again in the backward pass: a tenth of the memory, and on a CPU
about half the time.

Shape legend: B batch, N queries, C channels, D channels of a head, L levels, P points, M pixels of all
levels, R = B * heads.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from limner.devices.backends import compiles_triton

Size = tuple[int, int]
"""Height and width of a level."""

_BILINEAR, _ZEROS = 0, 0
"""Codes of `grid_sampler_2d` for the interpolation and padding modes."""


class DeformableAttention(nn.Module):
    """Weighted sums of values at points that each query predicts around its reference point."""

    def __init__(self, channels: int, *, heads: int = 8, levels: int = 3, points: int = 4) -> None:
        super().__init__()
        assert channels % heads == 0, f"{channels} channels are not divisible by {heads} heads"
        self.heads, self.levels, self.points = heads, levels, points
        self.sampling_offsets = nn.Linear(channels, heads * levels * points * 2)
        self.attention_weights = nn.Linear(channels, heads * levels * points)
        self.value_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise each head with its own direction, points at growing distances, and equal weights."""
        angles = torch.arange(self.heads) * (2 * math.pi / self.heads)
        directions = torch.stack((angles.cos(), angles.sin()), -1)
        directions = directions / directions.abs().amax(-1, keepdim=True)
        steps = torch.arange(1, self.points + 1).view(1, 1, -1, 1)
        offsets = (directions.view(-1, 1, 1, 2) * steps).expand(-1, self.levels, -1, -1)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(offsets.reshape(-1))
        nn.init.zeros_(self.sampling_offsets.weight)
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for projection in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def forward(self, queries: Tensor, memory: Tensor, references: Tensor, sizes: Sequence[Size]) -> Tensor:
        """Compute attention.

        Args:
            queries: (B, N, C), including positions.
            memory: (B, M, C), the flattened pixels of all levels, one level after the other.
            references: (B or 1, N, L or 1, 2) x and y in [0, 1]; 0 and 1 are the outer edges of a level. With
                4 numbers also width and height of boxes, in whose halves offsets are then counted.
            sizes: Height and width of each level.

        Returns:
            (B, N, C).
        """
        batch, num_queries, _ = queries.shape
        per_head = (batch, num_queries, self.heads, self.levels, self.points)
        offsets = self.sampling_offsets(queries).view(*per_head, 2)
        weights = self.attention_weights(queries).view(*per_head[:3], -1).softmax(-1).view(per_head)
        locations = _locations(references[:, :, None, :, None], offsets, sizes)
        values = self.value_proj(memory).view(*memory.shape[:2], self.heads, -1)
        projected: Tensor = self.output_proj(sum_of_samples(values, locations, weights, sizes))
        return projected


def _locations(references: Tensor, offsets: Tensor, sizes: Sequence[Size]) -> Tensor:
    """Return x and y of the points (B, N, heads, L, P, 2) from references (B, N, 1, L, 1, 2 or 4)."""
    if references.shape[-1] == 4:
        points = offsets.shape[-2]
        return references[..., :2] + offsets / points * references[..., 2:] / 2
    scale = torch.tensor([(width, height) for height, width in sizes], dtype=offsets.dtype)
    return references + offsets / scale.to(offsets.device, non_blocking=True).view(-1, 1, 2)


def pixel_centres(sizes: Sequence[Size], *, like: Tensor) -> Tensor:
    """Return x and y in [0, 1] of each level's pixels, the same on every level: (1, M, 1, 2)."""
    parts = []
    for height, width in sizes:
        y = (torch.arange(height, device=like.device) + 0.5) / height
        x = (torch.arange(width, device=like.device) + 0.5) / width
        parts.append(torch.stack((x.repeat(height), y.repeat_interleave(width)), -1))
    return torch.cat(parts).view(1, -1, 1, 2)


def sum_of_samples(values: Tensor, locations: Tensor, weights: Tensor, sizes: Sequence[Size]) -> Tensor:
    """Return the weighted sum of each head's values, sampled bilinearly at its points with zero padding.

    Coordinates need more precision than bfloat16, so everything is computed in at least float32.

    Args:
        values: (B, M, heads, D).
        locations: (B, N, heads, L, P, 2) x and y, in [0, 1] inside the level.
        weights: (B, N, heads, L, P).
        sizes: Height and width of each level.

    Returns:
        (B, N, heads * D).
    """
    if _prefers_kernel(values, locations):
        from limner.layers.deformable_attention_kernel import sum_by_kernel

        return sum_by_kernel(values, locations, weights, sizes)
    return sum_by_operators(values, locations, weights, sizes)


def _prefers_kernel(values: Tensor, locations: Tensor) -> bool:
    """Return whether the Triton kernel can compute the sum, and is faster; not in compiled graphs."""
    is_double = torch.float64 in (values.dtype, locations.dtype)
    if torch.compiler.is_compiling() or is_double or not compiles_triton(values.device):
        return False
    from limner.layers.deformable_attention_kernel import try_kernel

    _, _, heads, levels, points, _ = locations.shape
    shape = {"heads": heads, "levels": levels, "points": points, "depth": values.shape[-1]}
    return try_kernel(sum_by_operators, values.device, **shape).is_better


def sum_by_operators(values: Tensor, locations: Tensor, weights: Tensor, sizes: Sequence[Size]) -> Tensor:
    """Return the sum of `sum_of_samples` with PyTorch's operators, for any device and precision."""
    kind = torch.promote_types(locations.dtype, torch.float32)
    batch, num_queries, heads = locations.shape[:3]
    # Each point becomes a plane: (L, P, R, N, ...).
    grids = (2 * locations.to(kind) - 1).permute(3, 4, 0, 2, 1, 5).flatten(2, 3)
    factors = weights.to(kind).permute(3, 4, 0, 2, 1).flatten(2, 3)
    pixels = [height * width for height, width in sizes]
    total: Tensor | None = None
    for level, part in enumerate(torch.split(values.to(kind), pixels, dim=1)):
        maps = part.permute(0, 2, 3, 1).reshape(batch * heads, -1, *sizes[level])  # (R, D, h, w)
        # Without gradients there is nothing to save, and FLOP counters see the individual operators.
        sample = _SumOfSamples.apply if torch.is_grad_enabled() else _sum_planes
        summed = sample(maps, grids[level].contiguous(), factors[level].contiguous())
        total = summed if total is None else total + summed
    assert total is not None, "deformable attention needs a level"
    return total.view(batch, -1, num_queries).transpose(1, 2).to(values.dtype)


def _sum_planes(maps: Tensor, grids: Tensor, weights: Tensor) -> Tensor:
    """Maps (R, D, h, w), grids (P, R, N, 2) in [-1, 1], weights (P, R, N) -> (R, D, N)."""
    total: Tensor | None = None
    for grid, weight in zip(grids.unbind(), weights.unbind(), strict=True):
        sampled = torch.grid_sampler_2d(maps, grid.unsqueeze(2), _BILINEAR, _ZEROS, False)
        factor = weight[:, None, :, None]
        total = sampled.mul_(factor) if total is None else total.addcmul_(sampled, factor)
    assert total is not None
    return total.squeeze(3)


class _SumOfSamples(torch.autograd.Function):
    """``sum over p of weights[p] * sample(maps, grids[p])``, which saves only its arguments for backward.

    maps (R, D, h, w), grids (P, R, N, 2) in [-1, 1], weights (P, R, N) -> (R, D, N).
    """

    @staticmethod
    def forward(ctx: FunctionCtx, maps: Tensor, grids: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(maps, grids, weights)
        return _sum_planes(maps, grids, weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
        maps, grids, weights = ctx.saved_tensors
        gradient = gradient.unsqueeze(3)
        grid = grids.permute(1, 2, 0, 3).contiguous()  # (R, N, P, 2)
        sampled = torch.grid_sampler_2d(maps, grid, _BILINEAR, _ZEROS, False)  # (R, D, N, P)
        of_weights = sampled.mul_(gradient).sum(1)
        of_sampled = torch.mul(gradient, weights.permute(1, 2, 0).unsqueeze(1), out=sampled)
        of_maps, of_grid = torch.ops.aten.grid_sampler_2d_backward(
            of_sampled, maps, grid, _BILINEAR, _ZEROS, False, (True, True)
        )
        return of_maps, of_grid.permute(2, 0, 1, 3), of_weights.permute(2, 0, 1)
