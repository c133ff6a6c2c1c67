"""A plain Vision Transformer with a segmentation head, on a feature pyramid made from its single-scale maps.

Paper: An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale (Dosovitskiy et al., ICLR
2021), https://arxiv.org/abs/2010.11929. Authors' code: https://github.com/google-research/vision_transformer
(Apache-2.0 licence). The necks and heads are those of mmsegmentation (Apache-2.0): `neck="multilevel"` with
the head of UPerNet, `neck="deconvolution"` as for MAE, or `neck="fpn"`, a feature pyramid at one resolution.

What differs, and why: the patch embedding has a bias as in the paper (`patch_bias=False` omits it, as in
mmsegmentation), and the padding to whole patches is cropped from the logits.

Shape legend: B batch, C channels, K classes, H and W the input's height and width, h and w in patches.
"""

from itertools import accumulate, pairwise
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, Field, model_validator
from torch import nn
from torch.nn import functional as F

from limner.core.config import Config
from limner.core.outputs import AuxiliaryLogits, DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.fcn_head import FCNHead, PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.norm import build_norm
from limner.layers.pyramid_sum import PyramidSum
from limner.layers.resize import cut, resize
from limner.layers.uper_head import UPerHead
from limner.networks.backbones import Pretrained, build_vit
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

PATCH = 16
SCALES = (4, 2, 1, 0.5)
"""Zoom of each level of a neck that builds finer and coarser levels from the four maps of the backbone."""


def _check_ascending(taps: tuple[int, ...]) -> tuple[int, ...]:
    if taps[0] < 0 or any(late <= early for early, late in pairwise(taps)):
        raise ValueError(f"must be different blocks in ascending order, counted from 0; found {taps}")
    return taps


class ViTOptions(Config):
    """Options of `ViTSegmenter`."""

    backbone: str = "vit_base_patch16_224"
    """A ViT or DeiT with patches of 16 pixels: `vit_tiny_patch16_224`, `deit_base_patch16_384`, ..."""
    num_blocks: Annotated[int, Field(ge=4)] | None = None
    """Number of transformer blocks; defaults to the backbone's."""
    image_size: Annotated[int, Field(ge=16)] = 512
    """Image side that the position embeddings are learned for; they are interpolated for others."""
    taps: Annotated[tuple[int, ...], Field(min_length=2), AfterValidator(_check_ascending)] | None = None
    """Blocks, counted from 0, whose tokens are used; defaults to the last of each quarter."""
    patch_bias: bool = True
    """Add a bias to the patch embedding."""
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    """How positions are interpolated; bilinear in the BEiT of transformers."""
    relative_positions: bool = False
    """Add a relative position bias, as in BEiT and MAE."""
    layer_scale: float | None = None
    """Initial LayerScale value; 0.1 to 1 in BEiT and MAE."""
    final_norm: bool = False
    """Normalise the tokens of the last block."""
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Stochastic depth rate of the last block."""
    neck: Literal["multilevel", "deconvolution", "fpn", "none"] = "multilevel"
    """How to build a pyramid: resizing between convolutions or transposed convolutions, which need four taps;
    top-down sums at one resolution; or none."""
    head: Literal["upernet", "fpn", "fcn", "linear"] = "upernet"
    """Head of UPerNet, of Semantic FPN, one convolution over all levels, or only the classifier on the last
    level, as in Segmenter (ICCV 2021)."""
    channels: Width = 512
    """Channels of the head."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Channel dropout rate before the classifiers."""
    auxiliary: bool = True
    """Train an auxiliary head."""
    auxiliary_channels: Width = 256
    """Channels of the auxiliary head."""
    auxiliary_level: Annotated[int, Field(ge=0)] = 3
    """Level of the pyramid that the auxiliary head reads, counted from the finest."""

    @model_validator(mode="after")
    def _check_levels(self) -> "ViTOptions":
        levels = len(SCALES) if self.taps is None else len(self.taps)
        if self.neck in ("multilevel", "deconvolution") and levels != len(SCALES):
            raise ValueError(f"the neck {self.neck!r} needs {len(SCALES)} taps; found {levels}")
        if self.auxiliary_level >= levels:
            raise ValueError(f"auxiliary_level must be below the number of taps, {levels}")
        return self


class ViTSegmenter(nn.Module):
    """Transformer, neck, head, classifier."""

    def __init__(
        self,
        options: ViTOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_vit(
            options.backbone,
            in_channels=in_channels,
            num_blocks=options.num_blocks,
            pretrained=pretrained,
            image_size=options.image_size,
            taps=options.taps,
            interpolation=options.interpolation,
            patch_bias=options.patch_bias,
            relative_positions=options.relative_positions,
            layer_scale=options.layer_scale,
            final_norm=options.final_norm,
            drop_path=options.drop_path,
        )
        self.stride = PATCH if options.neck in ("fpn", "none") else 4
        self.neck = _NECKS[options.neck](self.backbone.channels, options.channels)
        widths = self.neck.widths
        self.decoder = _HEADS[options.head](widths, options.channels)
        channels = widths[-1] if options.head == "linear" else options.channels
        self.head = PixelClassifier(channels, num_classes, dropout=options.dropout)
        self.auxiliary_head = None
        self._auxiliary_level = options.auxiliary_level
        if options.auxiliary:
            narrow = options.auxiliary_channels
            self.auxiliary_head = FCNHead(
                widths[-1], narrow, num_classes=num_classes, dropout=options.dropout
            )
        initialize(self.neck, self.decoder, self.head, self.auxiliary_head)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / 4, W / 4), or at stride 16."""
        maps = self.neck(self.backbone(images))
        size = [-(-pixels // self.stride) for pixels in images.shape[2:]]
        logits = cut(self.head(self.decoder(maps)), size)
        if not self.training or self.auxiliary_head is None:
            return DenseLogits(logits)
        side = self.auxiliary_head(maps[self._auxiliary_level])
        return DenseLogits(logits, (AuxiliaryLogits(side, 0.4),))


class _MultiLevelNeck(nn.Module):
    """Scale each map to its level: a 1x1 convolution, a resize, a 3x3 convolution."""

    def __init__(self, widths: tuple[int, ...], channels: int) -> None:
        super().__init__()
        del channels
        self.widths = widths
        self.laterals = nn.ModuleList(nn.Conv2d(width, width, 1) for width in widths)
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for width in widths)

    def forward(self, maps: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        """Map four (B, C, h, w) to (B, C, scale * h, scale * w)."""
        levels = []
        for scale, features, lateral, conv in zip(SCALES, maps, self.laterals, self.convs, strict=True):
            x = lateral(features)
            levels.append(conv(x if scale == 1 else F.interpolate(x, scale_factor=scale, mode="bilinear")))
        return levels


class _DeconvolutionNeck(nn.Module):
    """Upsample the first map with two transposed convolutions, the second with one; pool the last."""

    def __init__(self, widths: tuple[int, ...], channels: int) -> None:
        super().__init__()
        del channels
        self.widths, width = widths, widths[0]
        self.four = nn.Sequential(
            nn.ConvTranspose2d(width, width, 2, stride=2),
            build_norm("batch", width),
            nn.GELU(),
            nn.ConvTranspose2d(width, width, 2, stride=2),
        )
        self.two = nn.ConvTranspose2d(width, width, 2, stride=2)

    def forward(self, maps: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        """Map four (B, C, h, w) to (B, C, scale * h, scale * w)."""
        first, second, third, last = maps
        return [self.four(first), self.two(second), third, F.max_pool2d(last, 2)]


class _PyramidNeck(nn.Module):
    """Top-down sums of all maps, which have one resolution, and a 3x3 convolution after each sum."""

    def __init__(self, widths: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.widths = (channels,) * len(widths)
        self.laterals = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in widths)
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in widths)

    def forward(self, maps: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        """Map (B, C, h, w), shallowest first, to (B, D, h, w)."""
        narrow = [lateral(features) for lateral, features in zip(self.laterals, maps, strict=True)]
        sums = [*accumulate(reversed(narrow))][::-1]
        return [conv(level) for conv, level in zip(self.convs, sums, strict=True)]


class _NoNeck(nn.Module):
    def __init__(self, widths: tuple[int, ...], channels: int) -> None:
        super().__init__()
        del channels
        self.widths = widths

    def forward(self, maps: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        return list(maps)


class _JoinedLevels(nn.Module):
    """Resize all levels to the finest resolution, concatenate, one 3x3 convolution."""

    def __init__(self, widths: tuple[int, ...], channels: int) -> None:
        super().__init__()
        self.conv = ConvNormAct(sum(widths), channels)

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """Map the levels, finest first, to (B, D, h_0, w_0)."""
        joined: torch.Tensor = self.conv(
            torch.cat([resize(level, maps[0].shape[2:]) for level in maps], dim=1)
        )
        return joined


class _LastLevel(nn.Module):
    def __init__(self, widths: tuple[int, ...], channels: int) -> None:
        super().__init__()
        del widths, channels

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """Return the last of the levels."""
        return maps[-1]


_NECKS: dict[str, type[_MultiLevelNeck | _DeconvolutionNeck | _PyramidNeck | _NoNeck]] = {
    "multilevel": _MultiLevelNeck,
    "deconvolution": _DeconvolutionNeck,
    "fpn": _PyramidNeck,
    "none": _NoNeck,
}
_HEADS = {"upernet": UPerHead, "fpn": PyramidSum, "fcn": _JoinedLevels, "linear": _LastLevel}

ENTRY = NetworkEntry(
    build=ViTSegmenter,
    options=ViTOptions,
    title="ViT with a segmentation head",
    paper="An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
    year=2021,
    family="transformer",
    url="https://arxiv.org/abs/2010.11929",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/google-research/vision_transformer",
    licence="Apache-2.0",
    good_for="Using the many pretrained ViTs; without pretrained weights it needs very many images.",
    variants={
        "vit_base, UPerNet's head": {},
        "vit_base, Semantic FPN's head": {"head": "fpn", "channels": 256},
        "vit_base, FCN head": {"head": "fcn"},
        "vit_base, five taps, pyramid, FCN head": {
            "taps": (3, 5, 7, 9, 11),
            "neck": "fpn",
            "head": "fcn",
            "channels": 256,
            "auxiliary_level": 4,
        },
        "deit_small": {"backbone": "deit_small_patch16_224"},
        "vit_small, Segmenter's linear head": {
            "backbone": "vit_small_patch16_224",
            "neck": "none",
            "head": "linear",
            "final_norm": True,
            "dropout": 0.0,
            "auxiliary": False,
        },
    },
)
