"""SETR: a Vision Transformer as the encoder, with three alternative decoders.

Paper: Rethinking Semantic Segmentation from a Sequence-to-Sequence Perspective with Transformers (Zheng et
al., CVPR 2021), https://arxiv.org/abs/2012.15840. Authors' code: https://github.com/fudan-zvg/SETR (MIT
licence); layers and auxiliary heads as in mmsegmentation (Apache-2.0).

What differs, and why: the classifier comes before the last bilinear resize, not after it. The two commute,
and there are fewer classes than channels. The padding to whole patches is cropped from the logits.

Shape legend: B batch, C channels, D channels of the head, K classes, H and W the input's height and width, h
and w in patches.
"""

from itertools import accumulate
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from limner.core.config import Config
from limner.core.outputs import AuxiliaryLogits, DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.resize import cut
from limner.networks.backbones import Pretrained, build_vit
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

PATCH = 16
# From the paper, for the 24 blocks of ViT-Large: sections 3.2 and 4.1, counted from 0.
TAPS = {"naive": (9, 14, 19, 23), "pup": (9, 14, 19, 23), "mla": (5, 11, 17, 23)}


class SETROptions(Config):
    """Options of `SETR`."""

    backbone: str = "vit_large_patch16_384"
    """A ViT or DeiT with patches of 16 pixels: `vit_base_patch16_384`, `deit_base_patch16_384`, ..."""
    num_blocks: Annotated[int, Field(ge=4)] | None = None
    """Number of transformer blocks; defaults to the backbone's."""
    image_size: Annotated[int, Field(ge=16)] = 768
    """Image side that the position embeddings are learned for; they are interpolated for others."""
    patch_bias: bool = True
    """Add a bias to the patch embedding; mmsegmentation omits it."""
    head: Literal["naive", "pup", "mla"] = "pup"
    """Decoder: `naive` with one resize, `pup` with four convolutions and resizes, or `mla` with four summed
    levels."""
    channels: Width = 256
    """Channels of the head."""
    auxiliary: bool = True
    """Train auxiliary heads: on three earlier levels, or on all four with `mla`."""
    auxiliary_convs: Annotated[int, Field(ge=1, le=2)] = 2
    """Number of convolutions in each auxiliary head of `pup`, each followed by a resize by 4."""


class SETR(nn.Module):
    """Transformer, head, classifier."""

    def __init__(
        self,
        options: SETROptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        depth = options.num_blocks or 0
        self.backbone = build_vit(
            options.backbone,
            in_channels=in_channels,
            num_blocks=options.num_blocks,
            pretrained=pretrained,
            image_size=options.image_size,
            patch_bias=options.patch_bias,
            interpolation="bilinear",
            class_token=options.head != "mla",
            taps=TAPS[options.head] if "large" in options.backbone and not depth else None,
        )
        widths, channels = self.backbone.channels, options.channels
        self.levels = _Levels(widths, channels) if options.head == "mla" else None
        if options.head == "mla":
            self.head: nn.Module = _JoinedHead(channels, num_classes)
            sides: list[nn.Module] = [PixelClassifier(channels, num_classes) for _ in widths]
            self.stride = 4
        else:
            progressive = options.head == "pup"
            kernel_size, scales = (3, (2, 2, 2, 2)) if progressive else (1, (4,))
            side_scales = (4,) * options.auxiliary_convs if progressive else (4,)
            self.head = _UpHead(widths[-1], channels, num_classes, kernel_size=kernel_size, scales=scales)
            sides = [
                _UpHead(width, channels, num_classes, kernel_size=kernel_size, scales=side_scales)
                for width in widths[:-1]
            ]
            self.stride = 1 if progressive else 4
        self.auxiliary_heads = nn.ModuleList(sides if options.auxiliary else ())
        initialize(self.levels, self.head, self.auxiliary_heads)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H, W); at stride 4 except for `pup`."""
        maps = self.backbone(images)
        if self.levels is not None:
            maps = self.levels(maps)
        logits = self.head(maps if self.levels is not None else maps[-1])
        logits = cut(logits, [-(-pixels // self.stride) for pixels in images.shape[2:]])
        if not self.training:
            return DenseLogits(logits)
        sides = (head(features) for head, features in zip(self.auxiliary_heads, maps, strict=False))
        return DenseLogits(logits, tuple(AuxiliaryLogits(side, 0.4) for side in sides))


class _UpHead(nn.Module):
    """LayerNorm, then convolutions with a bilinear resize after each."""

    def __init__(
        self, width: int, channels: int, num_classes: int, *, kernel_size: int, scales: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.norm = _TokenNorm(width, eps=1e-6)
        self.convs = nn.ModuleList(
            ConvNormAct(channels if index else width, channels, kernel_size) for index in range(len(scales))
        )
        self.classifier = PixelClassifier(channels, num_classes)
        self._scales = scales

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to logits (B, K, scale * h, scale * w)."""
        x = self.norm(features)
        for conv, scale in zip(self.convs[:-1], self._scales[:-1], strict=True):
            x = _enlarge(conv(x), scale)
        return _enlarge(self.classifier(self.convs[-1](x)), self._scales[-1])


class _Levels(nn.Module):
    """Multi-level aggregation: four maps, each summed with all deeper ones, as in the paper's figure 1c."""

    def __init__(self, widths: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(_TokenNorm(width, eps=1e-6) for width in widths)
        self.laterals = nn.ModuleList(ConvNormAct(width, channels, 1) for width in widths)
        self.convs = nn.ModuleList(ConvNormAct(channels, channels) for _ in widths)

    def forward(self, maps: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """Map four (B, C, h, w), shallowest first, to four (B, D, h, w), deepest first."""
        narrow = [
            lateral(norm(features))
            for features, norm, lateral in zip(maps, self.norms, self.laterals, strict=True)
        ]
        return tuple(
            conv(level) for conv, level in zip(self.convs, accumulate(reversed(narrow)), strict=True)
        )


class _JoinedHead(nn.Module):
    """Two convolutions per level, concatenated for the classifier."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        half = max(channels // 2, 1)
        self.branches = nn.ModuleList(
            nn.Sequential(ConvNormAct(channels, half), ConvNormAct(half, half)) for _ in range(4)
        )
        self.classifier = PixelClassifier(4 * half, num_classes)

    def forward(self, levels: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Map four (B, D, h, w) to logits (B, K, 4 * h, 4 * w)."""
        joined = [branch(level) for branch, level in zip(self.branches, levels, strict=True)]
        return _enlarge(self.classifier(torch.cat(joined, dim=1)), 4)


class _TokenNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise (B, C, h, w)."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _enlarge(x: torch.Tensor, scale: int) -> torch.Tensor:
    return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)


ENTRY = NetworkEntry(
    build=SETR,
    options=SETROptions,
    title="SETR",
    paper=("Rethinking Semantic Segmentation from a Sequence-to-Sequence Perspective with Transformers"),
    year=2021,
    family="transformer",
    url="https://arxiv.org/abs/2012.15840",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/fudan-zvg/SETR",
    licence="MIT",
    good_for="Large pretrained ViTs; otherwise SegFormer is more accurate at lower cost.",
    variants={
        "pup": {},
        "naive": {"head": "naive"},
        "mla": {"head": "mla"},
        "pup, vit_base": {"backbone": "vit_base_patch16_384"},
    },
)
