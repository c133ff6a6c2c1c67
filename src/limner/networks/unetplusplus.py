"""U-Net++: a U-Net with nested, dense skip connections and deep supervision.

Paper: UNet++: A Nested U-Net Architecture for Medical Image Segmentation (Zhou et al., DLMIA 2018),
https://arxiv.org/abs/1807.10165. Authors' code: https://github.com/MrGiovanni/UNetPlusPlus (its own licence,
research use); parameters compared with https://github.com/4uiiurz1/pytorch-nested-unet (MIT licence).

What differs, and why: maps are upsampled linearly, as in the second repository, where the authors' Keras
network uses transposed convolutions; and to the size of the map they are merged with, so any input size
works. The losses of the four depths are summed instead of averaged, which is the same up to a factor.

Shape legend: B batch, C channels, K classes, *S spatial axes; row i of the grid has stride 2**i.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.outputs import AuxiliaryLogits, DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.dimensions import MAX_POOL
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.norm import NormName
from limner.layers.resize import resize
from limner.networks.entry import NetworkEntry

Width = Annotated[int, Field(gt=0)]


class UNetPlusPlusOptions(Config):
    """Options of `UNetPlusPlus`."""

    widths: Annotated[tuple[Width, ...], Field(min_length=2)] = (32, 64, 128, 256, 512)
    """Channels of each row, finest first."""
    norm: NormName = "batch"
    """Normalisation after each convolution."""
    deep_supervision: bool = True
    """Train an auxiliary head on every block of the first row, not only the last."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Channel dropout rate before the classifiers."""


class UNetPlusPlus(nn.Module):
    """Nested U-Net in 2D or 3D, of any width and depth."""

    def __init__(
        self, options: UNetPlusPlusOptions, *, num_classes: int, in_channels: int = 3, spatial_dims: int = 2
    ) -> None:
        super().__init__()
        widths = options.widths
        self.depth = len(widths) - 1
        self.pool = MAX_POOL[spatial_dims](2)
        columns = []
        for column in range(len(widths)):
            rows = []
            for row in range(len(widths) - column):
                before = in_channels if row == 0 else widths[row - 1]
                joined = before if column == 0 else column * widths[row] + widths[row + 1]
                rows.append(_block(joined, widths[row], norm=options.norm, spatial_dims=spatial_dims))
            columns.append(nn.ModuleList(rows))
        self.encoder, *nested = columns
        self.nested = nn.ModuleList(nested)
        self.heads = nn.ModuleList(
            PixelClassifier(widths[0], num_classes, dropout=options.dropout, spatial_dims=spatial_dims)
            for _ in range(self.depth if options.deep_supervision else 1)
        )
        initialize(self)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, *S) float -> logits (B, K, *S)."""
        grid: list[list[torch.Tensor]] = []  # one list per row
        features = images
        for row, block in enumerate(self.encoder):
            features = block(self.pool(features) if row else features)  # (B, C_row, *S / 2**row)
            grid.append([features])
        for column in self.nested:
            assert isinstance(column, nn.ModuleList)
            for row, block in enumerate(column):
                below = resize(grid[row + 1][-1], grid[row][0].shape[2:], align_corners=True)
                grid[row].append(block(torch.cat((*grid[row], below), dim=1)))
        *sides, last = grid[0][1:]
        logits = self.heads[-1](last)
        if not self.training:
            return DenseLogits(logits)
        scored = zip(self.heads[:-1], sides, strict=False)
        return DenseLogits(logits, tuple(AuxiliaryLogits(head(side), 1.0) for head, side in scored))


def _block(in_channels: int, width: int, *, norm: NormName, spatial_dims: int) -> nn.Sequential:
    return nn.Sequential(
        ConvNormAct(in_channels, width, bias=True, norm=norm, spatial_dims=spatial_dims),
        ConvNormAct(width, width, bias=True, norm=norm, spatial_dims=spatial_dims),
    )


ENTRY = NetworkEntry(
    build=UNetPlusPlus,
    options=UNetPlusPlusOptions,
    title="U-Net++",
    paper="UNet++: A Nested U-Net Architecture for Medical Image Segmentation",
    year=2018,
    family="encoder-decoder",
    url="https://arxiv.org/abs/1807.10165",
    output=DenseLogits,
    spatial_dims=(2, 3),
    code="https://github.com/4uiiurz1/pytorch-nested-unet",
    licence="MIT",
    good_for="Medical images with structures of many sizes; slower than a U-Net.",
    variants={
        "": {},
        "no deep supervision": {"deep_supervision": False},
    },
)
