# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""The sum of samples of deformable attention as one Triton kernel, with its gradients.

It replaces `limner.layers.deformable_attention.sum_of_samples` on accelerators where it is faster and equal,
which is tried once; importing this file needs Triton. Each program computes a block of rows, a row being one
head of one query: it reads only the pixels around the row's points, and writes the sum, so that no sampled
value is kept in memory and all levels and points take one launch.

Shape legend: B batch, N queries, M pixels of all levels, H heads, D channels of a head, L levels, P points.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from limner.devices.device import synchronize

Size = tuple[int, int]
Sum = Callable[[Tensor, Tensor, Tensor, Sequence[Size]], Tensor]

BLOCK = 32
"""Rows of a program."""

TRIED_QUERIES, TRIED_SIDE, TRIED_RUNS = 2048, 64, 5
"""Size of the trial: queries, side of its finest level, and timed runs."""

TOLERANCE = 1e-4
"""Largest difference, absolute or relative, at which kernel and PyTorch's operators count as equal."""


@triton.jit
def _add(first, second):
    """Return the sum of two numbers, with which `tl.reduce` sums; Triton's interpreter has no `tl.sum`."""
    return first + second


@triton.jit
def _load_level(levels, level):
    """Return height, width and first pixel of a level."""
    return tl.load(levels + 3 * level), tl.load(levels + 3 * level + 1), tl.load(levels + 3 * level + 2)


@triton.jit
def _load_point(locations, weights, place, height, width, is_row):
    """Return x and y of a point in pixels, where 0 is the centre of the first, and its weight."""
    x = tl.load(locations + 2 * place, mask=is_row, other=0.0) * width - 0.5
    y = tl.load(locations + 2 * place + 1, mask=is_row, other=0.0) * height - 0.5
    return x, y, tl.load(weights + place, mask=is_row, other=0.0)


@triton.jit
def _rows_of(
    num_rows,
    num_queries,
    heads: tl.constexpr,
    depth: tl.constexpr,
    padded: tl.constexpr,
    block: tl.constexpr,
):
    """Return a program's rows, whether each exists, its head and image, and likewise the channels."""
    rows = (tl.program_id(0) * block + tl.arange(0, block)).to(tl.int64)
    channels = tl.arange(0, padded)
    return rows, rows < num_rows, rows % heads, rows // (heads * num_queries), channels, channels < depth


@triton.jit
def _corner_of(x, y, corner, width, height, is_row):
    """Return one of the four pixels around a point: column, line, and whether it is in the map."""
    column, line = tl.floor(x) + corner % 2, tl.floor(y) + corner // 2
    return column, line, is_row & (column >= 0) & (column < width) & (line >= 0) & (line < height)


@triton.jit
def _place_of(column, line, inside, width, first, heads, head, depth, channels):
    """Return the places of a pixel's channels among the values; of one outside, those of the first pixel."""
    column = tl.where(inside, column, 0.0).to(tl.int64)
    line = tl.where(inside, line, 0.0).to(tl.int64)
    return ((first + line * width + column) * heads + head)[:, None] * depth + channels[None, :]


@triton.jit
def _sum_forward(
    values,
    locations,
    weights,
    levels,
    total,
    num_rows,
    num_queries,
    num_pixels,
    heads: tl.constexpr,
    num_levels: tl.constexpr,
    num_points: tl.constexpr,
    depth: tl.constexpr,
    padded: tl.constexpr,
    block: tl.constexpr,
):
    """Write the sums (B, N, H, D); `depth` is D, and `padded` the power of two that holds it."""
    rows, is_row, head, image, channels, is_channel = _rows_of(
        num_rows, num_queries, heads, depth, padded, block
    )
    summed = tl.full((block, padded), 0.0, dtype=tl.float32)
    for level in range(num_levels):
        height, width, start = _load_level(levels, level)
        for point in range(num_points):
            place = (rows * num_levels + level) * num_points + point
            x, y, weight = _load_point(locations, weights, place, height, width, is_row)
            for corner in tl.static_range(4):
                column, line, inside = _corner_of(x, y, corner, width, height, is_row)
                share = tl.where(inside, (1 - tl.abs(x - column)) * (1 - tl.abs(y - line)), 0.0)
                first = image * num_pixels + start
                at = _place_of(column, line, inside, width, first, heads, head, depth, channels)
                seen = tl.load(values + at, mask=inside[:, None] & is_channel[None, :], other=0.0)
                summed += (weight * share)[:, None] * seen.to(tl.float32)
    at = rows[:, None] * depth + channels[None, :]
    tl.store(total + at, summed, mask=is_row[:, None] & is_channel[None, :])


@triton.jit
def _sum_backward(
    gradient,
    values,
    locations,
    weights,
    levels,
    of_values,
    of_locations,
    of_weights,
    num_rows,
    num_queries,
    num_pixels,
    heads: tl.constexpr,
    num_levels: tl.constexpr,
    num_points: tl.constexpr,
    depth: tl.constexpr,
    padded: tl.constexpr,
    block: tl.constexpr,
):
    """Add to the gradient of the values, and write those of locations and weights; names as in the sum."""
    rows, is_row, head, image, channels, is_channel = _rows_of(
        num_rows, num_queries, heads, depth, padded, block
    )
    own = rows[:, None] * depth + channels[None, :]
    of_sum = tl.load(gradient + own, mask=is_row[:, None] & is_channel[None, :], other=0.0)
    for level in range(num_levels):
        height, width, start = _load_level(levels, level)
        for point in range(num_points):
            place = (rows * num_levels + level) * num_points + point
            x, y, weight = _load_point(locations, weights, place, height, width, is_row)
            of_weight = tl.full((block,), 0.0, dtype=tl.float32)
            of_x = tl.full((block,), 0.0, dtype=tl.float32)
            of_y = tl.full((block,), 0.0, dtype=tl.float32)
            for corner in tl.static_range(4):
                column, line, inside = _corner_of(x, y, corner, width, height, is_row)
                across = tl.where(inside, 1 - tl.abs(x - column), 0.0)
                down = tl.where(inside, 1 - tl.abs(y - line), 0.0)
                first = image * num_pixels + start
                at = _place_of(column, line, inside, width, first, heads, head, depth, channels)
                is_seen = inside[:, None] & is_channel[None, :]
                seen = tl.load(values + at, mask=is_seen, other=0.0).to(tl.float32)
                product = tl.reduce(seen * of_sum, 1, _add)
                of_weight += across * down * product
                of_x += (2 * (corner % 2) - 1) * down * product
                of_y += (2 * (corner // 2) - 1) * across * product
                added = (weight * across * down)[:, None] * of_sum
                tl.atomic_add(of_values + at, added, mask=is_seen, sem="relaxed")
            tl.store(of_weights + place, of_weight, mask=is_row)
            tl.store(of_locations + 2 * place, of_x * weight * width, mask=is_row)
            tl.store(of_locations + 2 * place + 1, of_y * weight * height, mask=is_row)


def sum_by_kernel(values: Tensor, locations: Tensor, weights: Tensor, sizes: Sequence[Size]) -> Tensor:
    """Return what `sum_of_samples` returns, with the same arguments; they are at most float32."""
    batch, num_queries = locations.shape[:2]
    arguments = (values.contiguous(), locations.float().contiguous(), weights.float().contiguous())
    summed: Tensor = _KernelSum.apply(*arguments, _level_table(tuple(map(tuple, sizes)), values.device))
    return summed.view(batch, num_queries, -1).to(values.dtype)


class _KernelSum(torch.autograd.Function):
    """The sum (B, N, H, D) float32, which saves only its arguments for backward."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, locations: Tensor, weights: Tensor, levels: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(values, locations, weights, levels)
        total = torch.empty(
            (*locations.shape[:3], values.shape[-1]), dtype=torch.float32, device=values.device
        )
        numbers, grid = _launch(values, locations)
        with _current(values.device):
            _sum_forward[grid](values, locations, weights, levels, total, *numbers)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:  # noqa: ANN401
        values, locations, weights, levels = ctx.saved_tensors
        # Summed atomically, in full precision.
        of_values = torch.zeros(values.shape, dtype=torch.float32, device=values.device)
        of_locations, of_weights = torch.empty_like(locations), torch.empty_like(weights)
        numbers, grid = _launch(values, locations)
        found = (of_values, of_locations, of_weights)
        with _current(values.device):
            _sum_backward[grid](
                gradient.float().contiguous(), values, locations, weights, levels, *found, *numbers
            )
        return of_values.to(values.dtype), of_locations, of_weights, None


def _launch(values: Tensor, locations: Tensor) -> tuple[tuple[int, ...], tuple[int]]:
    """Return the numbers that both kernels take last, and the grid of programs."""
    batch, num_queries, heads, num_levels, num_points, _ = locations.shape
    num_rows, depth = batch * num_queries * heads, values.shape[-1]
    shape = (heads, num_levels, num_points, depth, triton.next_power_of_2(depth), BLOCK)
    return (num_rows, num_queries, values.shape[1], *shape), (triton.cdiv(num_rows, BLOCK),)


@lru_cache(maxsize=256)
def _level_table(sizes: tuple[Size, ...], device: torch.device) -> Tensor:
    """Return height, width and first pixel of each level, (L, 3) int32; kept, since copying takes time."""
    rows, start = [], 0
    for height, width in sizes:
        rows.append((height, width, start))
        start += height * width
    with torch.inference_mode(False):
        return torch.tensor(rows, dtype=torch.int32).to(device, non_blocking=True)


def _current(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which a device is the current one, on which Triton runs kernels."""
    return nullcontext() if device.type == "cpu" else torch.get_device_module(device).device(device)


@dataclass(frozen=True)
class KernelTrial:
    """Result of a trial of the kernel.

    Attributes:
        is_equal: Whether it equals PyTorch's operators.
        is_better: Whether it is also faster.
        reason: What was found, in words.
    """

    is_equal: bool
    is_better: bool
    reason: str


@cache
def try_kernel(
    other: Sum, device: torch.device, *, heads: int, levels: int, points: int, depth: int
) -> KernelTrial:
    """Compare the kernel with another implementation on random numbers; once for each argument.

    Args:
        other: Sum with PyTorch's operators.
        device: The accelerator.
        heads: H.
        levels: L.
        points: P.
        depth: D.
    """
    sizes = [(max(TRIED_SIDE >> level, 1),) * 2 for level in range(levels)]
    try:
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
            drawn = random_arguments(sizes, queries=TRIED_QUERIES, heads=heads, points=points, depth=depth)
            arguments = [tensor.to(device) for tensor in drawn]
            found, expected = (with_gradients(way, arguments, sizes) for way in (sum_by_kernel, other))
            difference = max(map(_difference, found, expected))
            if difference > TOLERANCE:
                return KernelTrial(False, False, f"differs from PyTorch's operators by {difference:.1g}")
            seconds, others = (_seconds(way, arguments, sizes) for way in (sum_by_kernel, other))
    except Exception as error:  # noqa: BLE001 - compilers, drivers and backends raise errors of many kinds
        reason = f"cannot be used: {type(error).__name__}: {error}".splitlines()[0]
        return KernelTrial(False, False, reason)
    said = f"{others / seconds:.2f} times as fast as PyTorch's operators, and equal to {difference:.1g}"
    return KernelTrial(True, seconds < others, said)


def random_arguments(
    sizes: Sequence[Size], *, queries: int, heads: int, points: int, depth: int, batch: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """Return values, locations and weights on the CPU; some points lie outside of their level.

    Locations are multiples of 1 / 4096, so that their pixels are exact in float32 however they are computed:
    beside the centre of a pixel, rounding would change the gradient by the difference of its neighbours.
    """
    generator = torch.Generator().manual_seed(0)
    per_head = (batch, queries, heads, len(sizes), points)
    num_pixels = sum(height * width for height, width in sizes)
    values = torch.randn(batch, num_pixels, heads, depth, generator=generator)
    locations = torch.randint(-819, 4915, (*per_head, 2), generator=generator) / 4096
    weights = torch.rand(*per_head, generator=generator)
    return values, locations, weights / weights.sum((-2, -1), keepdim=True)


def with_gradients(way: Sum, arguments: Sequence[Tensor], sizes: Sequence[Size]) -> tuple[Tensor, ...]:
    """Return the sum, and the gradients of the sum of its squares by values, locations and weights."""
    leaves = [tensor.detach().requires_grad_() for tensor in arguments]
    summed = way(leaves[0], leaves[1], leaves[2], sizes)
    return summed.detach(), *torch.autograd.grad(summed.square().sum(), leaves)


def _difference(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference, relative where numbers are larger than one."""
    return float(((found - expected).abs() / expected.abs().clamp(min=1)).max())


def _seconds(way: Sum, arguments: Sequence[Tensor], sizes: Sequence[Size]) -> float:
    synchronize(arguments[0].device)
    began = time.perf_counter()
    for _ in range(TRIED_RUNS):
        with_gradients(way, arguments, sizes)
    synchronize(arguments[0].device)
    return time.perf_counter() - began
