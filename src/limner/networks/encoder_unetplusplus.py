"""U-Net++ with any encoder: nested skip connections between a classification backbone and the logits.

Paper: UNet++: Redesigning Skip Connections to Exploit Multiscale Features in Image Segmentation (Zhou et al.,
TMI 2019), https://arxiv.org/abs/1912.05074, whose experiments use such encoders. The decoder has the layers
of segmentation-models-pytorch's UnetPlusPlus (MIT licence), so the two can be compared weight by weight.

What differs, and why: maps are upsampled to the size of the skip connection, so that any input size works;
segmentation-models-pytorch needs multiples of the coarsest stride.

Shape legend: B batch, C channels, K classes, H and W the input's height and width.
"""

from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from limner.core.config import Config
from limner.core.outputs import DenseLogits
from limner.layers.fcn_head import PixelClassifier
from limner.layers.initialization import initialize
from limner.layers.up_block import AttentionName, UpBlock
from limner.networks.backbones import Pretrained, build_backbone
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width


class EncoderUNetPlusPlusOptions(Config):
    """Options of `EncoderUNetPlusPlus`."""

    backbone: str = "resnet34"
    """Any of limner's ResNets or any timm model with feature maps at several strides, such as a Res2Net."""
    decoder_widths: Annotated[tuple[Width, ...], Field(min_length=2)] = (256, 128, 64, 32, 16)
    """Channels of the outermost decoder block at each resolution, coarsest first; each block doubles the
    resolution. As many are used as the backbone needs."""
    attention: AttentionName = "none"
    """Attention of the decoder blocks; `scse` gates channels and pixels."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Channel dropout rate before the classifier."""


class EncoderUNetPlusPlus(nn.Module):
    """Backbone, nested decoder, blocks without skip connection up to full resolution, classifier.

    Block (d, r) upsamples to resolution r, counted from the coarsest; its skip connection consists of all
    earlier maps of that resolution. Blocks of d = 0 are the outermost.
    """

    def __init__(
        self,
        options: EncoderUNetPlusPlusOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(options.backbone, in_channels=in_channels, pretrained=pretrained)
        first = next(index for index, stride in enumerate(self.backbone.strides) if stride >= 2)
        self._used = slice(first, None)
        deep, *skips = self.backbone.channels[self._used][::-1]
        widths, rest = options.decoder_widths, self.backbone.strides[first].bit_length() - 1
        self._num_rows = min(len(skips), len(widths))
        self.decoder = nn.ModuleDict()
        for row in range(self._num_rows):
            for depth in range(row + 1):
                self.decoder[_name(depth, row)] = UpBlock(
                    (deep, *widths)[row] if depth == 0 else skips[row - 1],
                    skips[row] * (row + 1 - depth),
                    widths[row] if depth == 0 else skips[row],
                    attention=options.attention,
                )
        outer = widths[self._num_rows - 1 : self._num_rows + rest]
        self.outer = nn.ModuleList(
            UpBlock(below, 0, width, attention=options.attention) for below, width in pairwise(outer)
        )
        self.head = PixelClassifier(outer[-1], num_classes, kernel_size=3, dropout=options.dropout)
        self._stride = self.backbone.strides[first]
        initialize(self.decoder, self.outer, self.head)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / s, W / s), s = 1 by default."""
        deep, *skips = self.backbone(images)[self._used][::-1]
        coarser = [deep]  # the maps of the resolution below, outermost first, the backbone's last
        for row, skip in enumerate(skips[: self._num_rows]):
            maps = [skip]
            for depth in range(row, -1, -1):
                block = self.decoder[_name(depth, row)]
                maps.insert(0, block(coarser[depth], torch.cat(maps, dim=1), skip.shape[2:]))
            coarser = maps
        features, stride = coarser[0], self._stride
        for block in self.outer:
            stride //= 2
            size = torch.Size(-(-length // stride) for length in images.shape[2:])
            features = block(features, None, size)
        return DenseLogits(self.head(features))


def _name(depth: int, row: int) -> str:
    return f"x_{depth}_{row}"


ENTRY = NetworkEntry(
    build=EncoderUNetPlusPlus,
    options=EncoderUNetPlusPlusOptions,
    title="U-Net++ on an encoder",
    paper="UNet++: Redesigning Skip Connections to Exploit Multiscale Features in Image Segmentation",
    year=2019,
    family="encoder-decoder",
    url="https://arxiv.org/abs/1912.05074",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/qubvel-org/segmentation_models.pytorch",
    licence="MIT",
    good_for="Medical images with a pretrained encoder; slower than a U-Net on the same one.",
    variants={
        "resnet34": {},
        "resnet50": {"backbone": "resnet50"},
        "res2net50": {"backbone": "res2net50_26w_4s"},
    },
)
