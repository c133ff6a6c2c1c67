"""DPT: the tokens of four blocks of a ViT become maps of four strides, which are fused from coarse to fine.

Paper: Vision Transformers for Dense Prediction (Ranftl et al., ICCV 2021), https://arxiv.org/abs/2103.13413.
Authors' code: https://github.com/isl-org/DPT (MIT licence); the reference here is Hugging Face transformers
(Apache-2.0 licence), whose weights load.

What differs, and why: images are padded to whole patches, and scores of the padding are cut off, so any size
works. The authors' code has a residual unit in the first fusion that nothing uses, which is left out; with
`refines_coarsest` it is there and used.

Shape legend: B batch, C channels, K classes, N tokens, H and W the image's height and width, h and w in
patches.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from limner.core.config import Config
from limner.core.outputs import AuxiliaryLogits, DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.fcn_head import FCNHead, PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.norm import build_norm
from limner.layers.resize import cut, resize
from limner.networks.backbones import Pretrained, build_vit
from limner.networks.backbones.vit import pad_to_patches
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

FACTORS = (4, 2, 1, 0.5)
"""Size of each level in multiples of the grid of patches, the finest first."""


class DPTOptions(Config):
    """Options of `DPT`."""

    backbone: str = "vit_base_patch16_384"
    """A ViT of limner, such as `vit_base_patch16_384` or `vit_large_patch16_384`."""
    num_blocks: Width | None = None
    """Number of transformer blocks; defaults to the backbone's."""
    image_size: Annotated[int, Field(ge=16)] = 384
    """Image side that the position embeddings are learned for; they are interpolated for others."""
    taps: tuple[int, int, int, int] | None = None
    """Blocks whose tokens are used, counted from 0; defaults to four evenly spaced ones, as in the paper."""
    widths: tuple[Width, Width, Width, Width] = (96, 192, 384, 768)
    """Channels of the levels before they are fused; (256, 512, 1024, 1024) for ViT-L in the paper."""
    channels: Width = 256
    """Channels of the fusion and of the head."""
    readout: Literal["project", "add", "ignore"] = "project"
    """What becomes of the class token: it is joined with each patch token and projected, added, or unused."""
    fusion_norm: bool = True
    """Batch normalisation in the fusion's residual units, as in the paper for segmentation."""
    refines_coarsest: bool = False
    """Refine the coarsest level before the first fusion too, as in segmentation-models-pytorch."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Channel dropout rate before the classifiers."""
    auxiliary: bool = True
    """Train an auxiliary head on the finest fused map."""


class DPT(nn.Module):
    """ViT, reassembled levels, fusion, head at half the image's size, whose scores are doubled."""

    def __init__(
        self,
        options: DPTOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        """Build the network.

        Raises:
            UnknownNameError: limner has no ViT of that name.
            ConfigError: A tap is beyond the last block.
        """
        super().__init__()
        channels = options.channels
        self.backbone = build_vit(
            options.backbone,
            in_channels=in_channels,
            num_blocks=options.num_blocks,
            pretrained=pretrained,
            image_size=options.image_size,
            taps=options.taps,
            interpolation="bilinear",
        )
        self._taps = options.taps or tuple(len(self.backbone.blocks) * n // 4 - 1 for n in (1, 2, 3, 4))
        tokens = self.backbone.channels[-1]
        self.levels = nn.ModuleList(
            _Reassemble(tokens, width, factor=factor, readout=options.readout)
            for width, factor in zip(options.widths, FACTORS, strict=True)
        )
        self.laterals = nn.ModuleList(
            nn.Conv2d(width, channels, 3, padding=1, bias=False) for width in options.widths
        )
        self.fusions = nn.ModuleList(
            _Fusion(channels, normed=options.fusion_norm, refines_level=index > 0 or options.refines_coarsest)
            for index in range(len(FACTORS))
        )
        self.neck = ConvNormAct(channels, channels)
        self.head = PixelClassifier(channels, num_classes, dropout=options.dropout)
        self.auxiliary_head = (
            FCNHead(channels, channels, num_classes=num_classes, dropout=options.dropout)
            if options.auxiliary
            else None
        )
        initialize(self.levels, self.laterals, self.fusions, self.neck, self.head, self.auxiliary_head)

    def forward(self, images: Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H, W)."""
        padded = pad_to_patches(images)
        levels = [
            lateral(level(tokens, grid))
            for lateral, level, (tokens, grid) in zip(
                self.laterals, self.levels, self._tokens(padded), strict=True
            )
        ]
        fused: Tensor | None = None
        for fusion, level in zip(self.fusions, reversed(levels), strict=True):
            fused = fusion(level, fused)
        assert fused is not None
        logits = F.interpolate(
            self.head(self.neck(fused)), scale_factor=2, mode="bilinear", align_corners=True
        )
        logits = cut(resize(logits, padded.shape[2:]), images.shape[2:])
        if not self.training or self.auxiliary_head is None:
            return DenseLogits(logits)
        side = cut(resize(self.auxiliary_head(fused), padded.shape[2:]), images.shape[2:])
        return DenseLogits(logits, (AuxiliaryLogits(side, 0.2),))  # the weight of the authors' training

    def _tokens(self, images: Tensor) -> list[tuple[Tensor, torch.Size]]:
        """Return the tokens (B, N, C) of the tapped blocks, the class token first, and the grid (h, w)."""
        patches = self.backbone.patch_embed(images)
        tokens, found = self.backbone.join(patches), []
        for index, block in enumerate(self.backbone.blocks):
            tokens = block(tokens)
            if index in self._taps:
                found.append((tokens, patches.shape[2:]))
        return found


class _Reassemble(nn.Module):
    """Turn tokens into a map, and change its size."""

    def __init__(self, tokens: int, width: int, *, factor: float, readout: str) -> None:
        super().__init__()
        self._adds = readout == "add"
        self.readout = (
            nn.Sequential(nn.Linear(2 * tokens, tokens), nn.GELU()) if readout == "project" else None
        )
        self.projection = nn.Conv2d(tokens, width, 1)
        self.resize: nn.Module = nn.Identity()
        if factor > 1:
            self.resize = nn.ConvTranspose2d(width, width, int(factor), stride=int(factor))
        elif factor < 1:
            self.resize = nn.Conv2d(width, width, 3, stride=round(1 / factor), padding=1)

    def forward(self, tokens: Tensor, grid: Sequence[int]) -> Tensor:
        """Map (B, N, C) to (B, width, h * factor, w * factor)."""
        first, patches = tokens[:, :1], tokens[:, 1:]
        if self.readout is not None:
            patches = self.readout(torch.cat((patches, first.expand_as(patches)), -1))
        elif self._adds:
            patches = patches + first
        features = patches.transpose(1, 2).reshape(*patches.shape[::2], *grid)
        result: Tensor = self.resize(self.projection(features))
        return result


class _Fusion(nn.Module):
    """Add a level to the coarser ones, refine the sum, double its size."""

    def __init__(self, channels: int, *, normed: bool, refines_level: bool) -> None:
        super().__init__()
        self.level = _ResidualUnit(channels, normed=normed) if refines_level else None
        self.refine = _ResidualUnit(channels, normed=normed)
        self.projection = nn.Conv2d(channels, channels, 1)

    def forward(self, level: Tensor, coarser: Tensor | None) -> Tensor:
        """Map a level (B, C, h, w) and the fused coarser ones to (B, C, 2 h, 2 w)."""
        fused = level if coarser is None else resize(level, coarser.shape[2:])
        if self.level is not None:
            fused = self.level(fused)
        if coarser is not None:
            fused = coarser + fused
        doubled = F.interpolate(self.refine(fused), scale_factor=2, mode="bilinear", align_corners=True)
        result: Tensor = self.projection(doubled)
        return result


class _ResidualUnit(nn.Module):
    """Two 3x3 convolutions after ReLU, added to their input."""

    def __init__(self, channels: int, *, normed: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=not normed)
        self.norm1 = build_norm("batch", channels) if normed else nn.Identity()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=not normed)
        self.norm2 = build_norm("batch", channels) if normed else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to (B, C, h, w)."""
        inside = self.norm1(self.conv1(F.relu(x)))
        result: Tensor = x + self.norm2(self.conv2(F.relu(inside)))
        return result


ENTRY = NetworkEntry(
    build=DPT,
    options=DPTOptions,
    title="DPT",
    paper="Vision Transformers for Dense Prediction",
    year=2021,
    family="transformer",
    url="https://arxiv.org/abs/2103.13413",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/isl-org/DPT",
    licence="MIT",
    good_for="Fine scores from a plain ViT with pretrained weights.",
    remark="Without the residual unit of the reference that nothing uses.",
    variants={
        "base": {},
        "large": {"backbone": "vit_large_patch16_384", "widths": (256, 512, 1024, 1024)},
    },
)
