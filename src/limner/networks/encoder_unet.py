"""U-Net with any encoder: a classification backbone and a light U-Net decoder.

Paper: U-Net (Ronneberger et al., MICCAI 2015), https://arxiv.org/abs/1505.04597; with a pretrained encoder,
TernausNet (Iglovikov and Shvets, 2018), https://arxiv.org/abs/1801.05746. The decoder has the
layers of segmentation-models-pytorch's Unet (MIT licence), so the two can be compared weight by weight.

What differs, and why: a decoder with fewer blocks returns logits at a coarser resolution, which is faster
where fine boundaries do not matter.

Shape legend: B batch, C channels, K classes, H and W the input's height and width.
"""

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

Width = Annotated[int, Field(gt=0)]


class EncoderUNetOptions(Config):
    """Options of `EncoderUNet`."""

    backbone: str = "resnet34"
    """Any of limner's ResNets or any timm model."""
    decoder_widths: Annotated[tuple[Width, ...], Field(min_length=1)] = (256, 128, 64, 32, 16)
    """Channels of each decoder block from the coarsest. Each block doubles the resolution; with a backbone of
    stride 32, five blocks reach that of the input."""
    attention: AttentionName = "none"
    """Attention of the decoder blocks; `scse` gates channels and pixels."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Channel dropout rate before the classifier."""


class EncoderUNet(nn.Module):
    """U-Net decoder on a classification backbone, for images of any size."""

    def __init__(
        self,
        options: EncoderUNetOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(options.backbone, in_channels=in_channels, pretrained=pretrained)
        skip_channels = dict(zip(self.backbone.strides, self.backbone.channels, strict=True))
        stride = self.backbone.strides[-1]
        channels = skip_channels[stride]
        self._strides: list[int] = []
        self.decoder = nn.ModuleList()
        for width in options.decoder_widths[: stride.bit_length() - 1]:
            stride //= 2
            self._strides.append(stride)
            self.decoder.append(
                UpBlock(channels, skip_channels.get(stride, 0), width, attention=options.attention)
            )
            channels = width
        self.head = PixelClassifier(channels, num_classes, kernel_size=3, dropout=options.dropout)
        initialize(self.decoder, self.head)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / s, W / s), s = 1 by default."""
        pyramid = self.backbone(images)
        skips = dict(zip(self.backbone.strides, pyramid, strict=True))
        features = pyramid[-1]
        for block, stride in zip(self.decoder, self._strides, strict=True):
            skip = skips.get(stride)
            size = images.shape[2:] if skip is None else skip.shape[2:]
            if skip is None and stride > 1:  # encoders that start at stride 4 have no map at stride 2
                size = torch.Size(length // stride for length in images.shape[2:])
            features = block(features, skip, size)
        return DenseLogits(self.head(features))


ENTRY = NetworkEntry(
    build=EncoderUNet,
    options=EncoderUNetOptions,
    title="U-Net on an encoder",
    paper="U-Net: Convolutional Networks for Biomedical Image Segmentation",
    year=2015,
    family="encoder-decoder",
    url="https://arxiv.org/abs/1505.04597",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/qubvel-org/segmentation_models.pytorch",
    licence="MIT",
    good_for="First choice for 2D images: fast, sharp boundaries, pretrained encoder.",
    variants={
        "resnet34": {},
        "resnet18": {"backbone": "resnet18"},
        "resnet50": {"backbone": "resnet50"},
    },
)
