"""SegFormer: a hierarchical transformer without position embeddings, and a decoder of linear layers only.

Paper: SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers (Xie et al., NeurIPS
2021), https://arxiv.org/abs/2105.15203. Authors' code: https://github.com/NVlabs/SegFormer (NVIDIA Source
Code License, for research only). Written from the paper.

What differs, and why: the decoder computes the paper's logits in a different order. A linear layer over
channels commutes with a bilinear resize, so each level passes the fusion layer at its own resolution and only
the sums are computed at stride 4; the two consecutive linear layers are multiplied first. This is several
times less work with the same weights. `decoder="mmsegmentation"` has the normalised convolutions of
mmsegmentation (Apache-2.0), which reports its scores with 256 channels throughout.

Shape legend: B batch, C channels, D channels of the decoder, K classes, H and W the input's height and width.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from limner.core.config import Config
from limner.core.outputs import DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.resize import enlarge_aligned, resize
from limner.networks.backbones import Pretrained, build_backbone
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

Decoder = Literal["paper", "mmsegmentation"]
NARROW = ("mit_b0", "mit_b1")  # 256 channels for these, 768 for the others: table 6 of the paper


class SegFormerOptions(Config):
    """Options of `SegFormer`."""

    backbone: str = "mit_b0"
    """`mit_b0` to `mit_b5`, or any backbone with feature maps at several strides."""
    decoder: Decoder = "paper"
    """Decoder to follow: `paper` projects maps linearly, `mmsegmentation` adds normalisation and ReLU."""
    channels: Width | None = None
    """Channels of the decoder; defaults to the paper's: 256 for `mit_b0` and `mit_b1`, else 768."""
    enlarges_logits: bool = False
    """Return the logits at the size of the image, enlarged with aligned corners, as in
    segmentation-models-pytorch, instead of at stride 4."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Channel dropout rate before the classifier."""


class SegFormer(nn.Module):
    """Backbone, linear decoder, classifier at stride 4."""

    def __init__(
        self,
        options: SegFormerOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(options.backbone, in_channels=in_channels, pretrained=pretrained)
        # Some backbones start at stride 2, which the decoder does not use.
        self._first = next(index for index, stride in enumerate(self.backbone.strides) if stride >= 4)
        widths = self.backbone.channels[self._first :]
        channels = options.channels or (256 if options.backbone in NARROW else 768)
        self.decoder = _Decoder(widths, channels, normed=options.decoder == "mmsegmentation")
        self.head = PixelClassifier(channels, num_classes, dropout=options.dropout)
        self._factor = 4 if options.enlarges_logits else 1
        initialize(self.decoder, self.head)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / 4, W / 4)."""
        logits = self.head(self.decoder(self.backbone(images)[self._first :]))
        return DenseLogits(enlarge_aligned(logits, self._factor, images.shape[2:]))


class _Decoder(nn.Module):
    """Project all maps to D channels, resize them to the finest resolution, and fuse them."""

    def __init__(self, widths: tuple[int, ...], channels: int, *, normed: bool) -> None:
        super().__init__()
        self.projections = nn.ModuleList(
            ConvNormAct(width, channels, 1) if normed else nn.Linear(width, channels) for width in widths
        )
        self.fusion = ConvNormAct(len(widths) * channels, channels, 1)

    def forward(self, maps: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Map the levels (B, C_i, h_i, w_i) to (B, D, h_0, w_0)."""
        weights = self.fusion.conv.weight.chunk(len(maps), dim=1)
        # The paper concatenates the coarsest map first, mmsegmentation the finest.
        linear = isinstance(self.projections[0], nn.Linear)
        joined = [
            self._project(*level)
            for level in zip(maps, self.projections, weights[:: -1 if linear else 1], strict=True)
        ]
        size = maps[0].shape[2:]
        total = joined[0]
        for features in joined[1:]:
            total = total + resize(features, size)
        out: torch.Tensor = self.fusion.act(self.fusion.norm(total))
        return out

    @staticmethod
    def _project(features: torch.Tensor, projection: nn.Module, fusion: torch.Tensor) -> torch.Tensor:
        """Apply a level's projection and its part of the fusion layer: (B, C_i, h, w) -> (B, D, h, w)."""
        if not isinstance(projection, nn.Linear):
            return F.conv2d(projection(features), fusion)
        matrix = fusion.flatten(1)  # (D, D)
        weight, bias = matrix @ projection.weight, matrix @ projection.bias
        return F.conv2d(features, weight[:, :, None, None], bias)


ENTRY = NetworkEntry(
    build=SegFormer,
    options=SegFormerOptions,
    title="SegFormer",
    paper="SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers",
    year=2021,
    family="transformer",
    url="https://arxiv.org/abs/2105.15203",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/NVlabs/SegFormer",
    licence="NVIDIA Source Code License",
    good_for="Photographs and street scenes of varying sizes; B0 is small and fast, B5 accurate.",
    variants={
        "mit_b0": {},
        **{f"mit_b{size}": {"backbone": f"mit_b{size}"} for size in range(1, 6)},
    },
)
