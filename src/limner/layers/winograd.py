"""Winograd 3x3 convolutions with a quarter of the multiplications, for training on CPUs.

Winograd's minimal filtering F(4x4, 3x3), after Lavin and Gray, "Fast algorithms for convolutional neural
networks", CVPR 2016: tiles of 6x6 pixels and the kernels are transformed to 36 points each, where
the convolution is one matrix product per point, and the points are transformed back to tiles of 4x4. The same
sums in another order: in float32 the error is below 1e-4 of the result's standard deviation. Dilated kernels
operate on d x d interleaved images.
"""

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

OUT, IN = 4, 6
"""Size of an output tile and of its input window, in pixels."""
MIN_CHANNELS = 80
"""Minimum of in * out / (in + out): narrower layers lose more in the transforms than they save."""
MIN_OUT_CHANNELS = 160
"""Minimum number of output channels: the input is transformed three times per step."""
MIN_PIXELS = 2048
"""Minimum number of pixels per batch: with fewer, transforming the kernels costs more than it saves."""
MAX_WASTE = 1.5
"""Skip Winograd if padding to whole tiles exceeds this multiple of the area."""
STRIP_BYTES = 12 * 2**20
"""Size of the transformed tiles that are processed at once."""

_IMAGE_1D = torch.tensor(
    [
        [4.0, 0.0, -5.0, 0.0, 1.0, 0.0],
        [0.0, -4.0, -4.0, 1.0, 1.0, 0.0],
        [0.0, 4.0, -4.0, -1.0, 1.0, 0.0],
        [0.0, -2.0, -1.0, 2.0, 1.0, 0.0],
        [0.0, 2.0, -1.0, -2.0, 1.0, 0.0],
        [0.0, 4.0, 0.0, -5.0, 0.0, 1.0],
    ],
    dtype=torch.float64,
)
_KERNEL_1D = (
    torch.tensor(
        [[6.0, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=torch.float64
    )
    / 24
)
_TILE_1D = torch.tensor(
    [[1.0, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    dtype=torch.float64,
)
IMAGE, KERNEL, TILE = (torch.kron(each, each).float() for each in (_IMAGE_1D, _KERNEL_1D, _TILE_1D))
"""(36, 36), (36, 9) and (16, 36): the transforms of both axes combined."""


def use_winograd(network: nn.Module) -> int:
    """Convert the 3x3 convolutions that become faster to Winograd for training; return their number.

    Their weights, names, hooks and behaviour in evaluation do not change.
    """
    fitting = [layer for layer in network.modules() if type(layer) is nn.Conv2d and _fits(layer)]
    for layer in fitting:
        # In place, as torch.nn.utils.parametrize does: a new module would have to take over the weights, the
        # hooks and the place in its parent, and the layer may be the network itself. The class adds no state.
        # The cost: `type(layer)` is no longer nn.Conv2d; `isinstance` holds.
        layer.__class__ = WinogradConv2d
    return len(fitting)


def _fits(layer: nn.Conv2d) -> bool:
    wide = layer.in_channels * layer.out_channels / (layer.in_channels + layer.out_channels)
    rows, columns = layer.dilation
    return (
        layer.kernel_size == (3, 3)
        and layer.stride == (1, 1)
        and layer.groups == 1
        and rows == columns
        and layer.padding == layer.dilation
        and layer.padding_mode == "zeros"
        and wide >= MIN_CHANNELS
        and layer.out_channels >= MIN_OUT_CHANNELS
    )


class WinogradConv2d(nn.Conv2d):
    """3x3 convolution of stride 1 with same padding."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, K, H, W)."""
        if not (self.training and torch.is_grad_enabled() and self._gains_on(input)):
            return super().forward(input)
        maps: Tensor = _Convolution.apply(input, self.weight, self.dilation[0])
        return maps if self.bias is None else maps + self.bias.view(1, -1, 1, 1)

    def _gains_on(self, maps: Tensor) -> bool:
        if maps.device.type != "cpu" or maps.dtype != torch.float32 or torch.is_autocast_enabled("cpu"):
            return False
        pixels = maps.shape[0] * maps.shape[2] * maps.shape[3]
        rows, columns = _Tiles.of(maps, self.dilation[0]).size
        return pixels >= MIN_PIXELS and maps.shape[0] * rows * columns <= MAX_WASTE * pixels


class _Scratch(threading.local):
    """Reusable buffers for temporaries: fresh memory pages would cost three times the arithmetic."""

    def __init__(self) -> None:
        self._kept: dict[str, Tensor] = {}

    def of(self, purpose: str, *shape: int) -> Tensor:
        """Return an uninitialised float32 tensor; it overwrites the previous one for this purpose."""
        size = math.prod(shape)
        if purpose not in self._kept or self._kept[purpose].numel() < size:
            self._kept[purpose] = torch.empty(size)
        return self._kept[purpose][:size].view(shape)


_SCRATCH = _Scratch()

_Gradients = tuple[Tensor | None, Tensor | None, None]


class _Convolution(torch.autograd.Function):
    """Maps (N, C, H, W) and kernels (K, C, 3, 3) to maps (N, K, H, W) in the layout of the first."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, kernels: Tensor, dilation: int) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(maps, kernels)
        ctx.dilation = dilation
        tiles = _Tiles.of(maps, dilation)
        seen, out = tiles.spread(maps, margin=dilation), tiles.empty(channels=len(kernels))
        at_points = _kernels_to_points(kernels)
        for strip in tiles.strips(widest=max(kernels.shape[:2])):
            points = torch.bmm(_pixels_to_points(seen, strip), at_points.transpose(1, 2))
            tiles_out = TILE @ points.flatten(1)
            strip.view(out, OUT, OUT).copy_(tiles_out.view(strip.shape(OUT, OUT, len(kernels))))
        return _to_maps(tiles.crop(out, margin=0), like=maps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> _Gradients:  # noqa: ANN401
        """Apply the transpose of each step in reverse; the input is transformed again."""
        maps, kernels = ctx.saved_tensors
        wants_maps, wants_kernels, _ = ctx.needs_input_grad
        out_channels, in_channels = kernels.shape[:2]
        tiles = _Tiles.of(maps, ctx.dilation)
        seen, of_out = tiles.spread(maps, margin=ctx.dilation), tiles.spread(gradient, margin=0)
        at_points = _kernels_to_points(kernels)
        of_seen = torch.zeros_like(seen) if wants_maps else None
        of_kernels = _SCRATCH.of("gradients of kernels", *at_points.shape).zero_() if wants_kernels else None
        for strip in tiles.strips(widest=max(in_channels, out_channels)):
            of_points = (TILE.t() @ strip.cut(of_out, OUT)).view(IN * IN, -1, out_channels)
            if of_kernels is not None:
                of_kernels.baddbmm_(of_points.transpose(1, 2), _pixels_to_points(seen, strip))
            if of_seen is not None:
                of_windows = IMAGE.t() @ torch.bmm(of_points, at_points).flatten(1)
                strip.add(of_seen, of_windows.view(strip.shape(IN, IN, in_channels)))
        return (
            None if of_seen is None else _to_maps(tiles.crop(of_seen, margin=ctx.dilation), like=maps),
            None if of_kernels is None else _kernels_from_points(of_kernels),
            None,
        )


def _pixels_to_points(pixels: Tensor, strip: "_Strip") -> Tensor:
    """Transform the input windows of a strip of (N, rows, columns, C) to (36, tiles, C)."""
    return (IMAGE @ strip.cut(pixels, IN)).view(IN * IN, -1, pixels.shape[3])


def _kernels_to_points(kernels: Tensor) -> Tensor:
    """Transform kernels (K, C, 3, 3) to (36, K, C), in a buffer that the next call overwrites."""
    points = _SCRATCH.of("kernels", IN * IN, *kernels.shape[:2])
    torch.mm(KERNEL, kernels.permute(2, 3, 0, 1).reshape(9, -1), out=points.view(IN * IN, -1))
    return points


def _kernels_from_points(points: Tensor) -> Tensor:
    """Transform gradients (36, K, C) to those of kernels: the transpose of `_kernels_to_points`."""
    return (KERNEL.t() @ points.flatten(1)).view(3, 3, *points.shape[1:]).permute(2, 3, 0, 1)


def _to_maps(pixels: Tensor, *, like: Tensor) -> Tensor:
    """Return (N, H, W, C) as (N, C, H, W) in the memory layout of `like`."""
    if like.is_contiguous(memory_format=torch.channels_last):
        return pixels.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    maps = pixels.new_empty(pixels.shape[0], pixels.shape[3], *pixels.shape[1:3])
    _transpose(pixels.flatten(1, 2), maps.flatten(2))
    return maps


def _transpose(sources: Tensor, targets: Tensor) -> None:
    """Copy (N, A, B) into (N, B, A) matrix by matrix, twice as fast as one permutation."""
    for source, target in zip(sources, targets, strict=True):
        target.copy_(source.t())


@dataclass(frozen=True)
class _Tiles:
    """Tiling of maps: `down` x `across` tiles of each of the dilation x dilation interleaved images."""

    images: int
    height: int
    width: int
    dilation: int

    @classmethod
    def of(cls, maps: Tensor, dilation: int) -> "_Tiles":
        """Return the tiling of maps (N, C, H, W)."""
        images, _, height, width = maps.shape
        return cls(images, height, width, dilation)

    @property
    def down(self) -> int:
        return -(-self.height // (OUT * self.dilation))

    @property
    def across(self) -> int:
        return -(-self.width // (OUT * self.dilation))

    @property
    def size(self) -> tuple[int, int]:
        """Number of rows and columns covered by the tiles."""
        return self.down * OUT * self.dilation, self.across * OUT * self.dilation

    def spread(self, maps: Tensor, *, margin: int) -> Tensor:
        """Return (N, C, H, W) as (N, rows, columns, C), zero-padded for the tiles."""
        rows, columns = (side + 2 * margin for side in self.size)
        pixels = maps.permute(0, 2, 3, 1)
        if not maps.is_contiguous(memory_format=torch.channels_last):
            pixels = torch.empty_like(pixels, memory_format=torch.contiguous_format)
            _transpose(maps.flatten(2), pixels.flatten(1, 2))
        right, below = columns - margin - self.width, rows - margin - self.height
        return F.pad(pixels, (0, 0, margin, right, margin, below)).contiguous()

    def empty(self, *, channels: int) -> Tensor:
        """Return an uninitialised (N, rows, columns, C) tensor."""
        return torch.empty(self.images, *self.size, channels)

    def crop(self, pixels: Tensor, *, margin: int) -> Tensor:
        """Remove the padding of `spread`."""
        return pixels[:, margin : margin + self.height, margin : margin + self.width]

    def strips(self, *, widest: int) -> Iterator["_Strip"]:
        """Yield strips of tiles whose transforms fit in the processor's cache."""
        row = self.across * self.dilation**2 * widest * IN * IN * 4
        rows = max(1, min(self.down, STRIP_BYTES // row))
        images = max(1, STRIP_BYTES // (row * self.down))
        for image in range(0, self.images, images):
            for top in range(0, self.down, rows):
                count = min(images, self.images - image)
                yield _Strip(image, count, top, min(rows, self.down - top), self.across, self.dilation)


@dataclass(frozen=True)
class _Strip:
    """Some rows of tiles of some images."""

    image: int
    images: int
    top: int
    down: int
    across: int
    dilation: int

    def shape(self, tall: int, broad: int, channels: int) -> tuple[int, ...]:
        """Return (tall, broad, N, down, dilation, across, dilation, C)."""
        step = self.dilation
        return tall, broad, self.images, self.down, step, self.across, step, channels

    def view(self, pixels: Tensor, tall: int, broad: int, *, left: int = 0, above: int = 0) -> Tensor:
        """View a part of each tile of (N, rows, columns, C)."""
        step, (image, row, column, _) = self.dilation, pixels.stride()
        down, across = OUT * step * row, OUT * step * column
        strides = (step * row, step * column, image, down, row, across, column, 1)
        start = self.image * image + self.top * down + above * step * row + left * step * column
        return pixels.as_strided(self.shape(tall, broad, pixels.shape[3]), strides, start)

    def cut(self, pixels: Tensor, side: int) -> Tensor:
        """Copy the tiles to (side * side, tiles * C)."""
        return self.view(pixels, side, side).reshape(side * side, -1)

    def add(self, pixels: Tensor, windows: Tensor) -> None:
        """Add overlapping windows to their pixels."""
        # Tiles are four apart, so their first four rows do not overlap, nor do their last two.
        for above, tall in ((0, OUT), (OUT, IN - OUT)):
            for left, broad in ((0, OUT), (OUT, IN - OUT)):
                part = windows[above : above + tall, left : left + broad]
                self.view(pixels, tall, broad, left=left, above=above).add_(part)
