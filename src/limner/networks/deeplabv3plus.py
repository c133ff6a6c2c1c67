"""DeepLabV3+: atrous pyramid pooling, then a small decoder that recovers object boundaries.

Paper: Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation (Chen et al., ECCV
2018), https://arxiv.org/abs/1802.02611. Authors' code: https://github.com/tensorflow/models/tree/master/research/deeplab
(Apache-2.0 licence).

What differs, and why: three published heads have this name, with different numbers of parameters; `LAYOUTS`
has each of them, so weights and scores can be compared with their own reference.

Shape legend: B batch, C channels, K classes, H and W the input's height and width.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from limner.core.outputs import DenseLogits
from limner.layers.atrous_pyramid import AtrousPyramid
from limner.layers.convolution import ConvNormAct, SeparableConvNormAct
from limner.layers.dropout import Dropout
from limner.layers.initialization import initialize
from limner.layers.resize import enlarge_aligned, resize
from limner.networks.backbones import Pretrained
from limner.networks.context_network import ContextNetwork, ContextOptions
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width


@dataclass(frozen=True)
class Layout:
    """A published head.

    Attributes:
        separable: Whether the atrous branches and the decoder use depthwise separable convolutions.
        act_between: Whether those normalise and activate between their two steps.
        projection_kernel: Kernel size of the convolution that fuses the atrous branches.
        projection_dropout: Dropout rate after that convolution.
        refines_context: Whether another convolution follows before upsampling.
        decoder_convs: Number of 3x3 convolutions in the decoder.
        decoder_dropout: Dropout rate between those.
        dropout: Channel dropout rate before the classifier.
        scales_with_backbone: Whether widths follow the backbone's; else they are the paper's 256 and 48.
        align_corners: Whether the context is resized with aligned corners.
    """

    separable: bool
    act_between: bool
    projection_kernel: int
    projection_dropout: float
    refines_context: bool
    decoder_convs: int
    decoder_dropout: float
    dropout: float
    scales_with_backbone: bool
    align_corners: bool


LayoutName = Literal["mmsegmentation", "paper", "segmentation-models-pytorch"]
LAYOUTS: dict[LayoutName, Layout] = {
    # mmseg/models/decode_heads/sep_aspp_head.py and configs/_base_/models/deeplabv3plus_r50-d8.py
    "mmsegmentation": Layout(
        separable=True,
        act_between=True,
        projection_kernel=3,
        projection_dropout=0.0,
        refines_context=False,
        decoder_convs=2,
        decoder_dropout=0.0,
        dropout=0.1,
        scales_with_backbone=True,
        align_corners=False,
    ),
    # section 3.1 and table 2 of the paper; dropouts of github.com/jfzhang95/pytorch-deeplab-xception
    "paper": Layout(
        separable=False,
        act_between=True,
        projection_kernel=1,
        projection_dropout=0.5,
        refines_context=False,
        decoder_convs=2,
        decoder_dropout=0.5,
        dropout=0.1,
        scales_with_backbone=False,
        align_corners=True,
    ),
    # segmentation_models_pytorch/decoders/deeplabv3/decoder.py
    "segmentation-models-pytorch": Layout(
        separable=True,
        act_between=False,
        projection_kernel=1,
        projection_dropout=0.5,
        refines_context=True,
        decoder_convs=1,
        decoder_dropout=0.0,
        dropout=0.0,
        scales_with_backbone=False,
        align_corners=True,
    ),
}


class DeepLabV3PlusOptions(ContextOptions):
    """Options of `DeepLabV3Plus`; `channels` and `dropout` default to the layout's."""

    layout: LayoutName = "mmsegmentation"
    """Published head to follow."""
    atrous_rates: Annotated[tuple[Width, ...], Field(min_length=1)] | None = None
    """Dilations of the atrous branches; defaults to the paper's: 6, 12, 18 at stride 16, doubled at stride
    8."""
    low_level_channels: Width | None = None
    """Channels of the projected low-level features in the decoder; defaults to the layout's."""
    enlarges_logits: bool = False
    """Return the logits at the size of the image, enlarged with aligned corners, as in
    segmentation-models-pytorch, instead of at stride 4."""


class DeepLabV3Plus(ContextNetwork):
    """Dilated backbone, atrous pyramid, decoder at stride 4, classifier."""

    def __init__(
        self,
        options: DeepLabV3PlusOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        layout = LAYOUTS[options.layout]
        options = _with_defaults_of(layout, options)
        super().__init__(options, num_classes=num_classes, in_channels=in_channels, pretrained=pretrained)
        self.align_corners = layout.align_corners
        self._factor = 4 if options.enlarges_logits else 1
        # Some backbones start at stride 4, others at 2.
        self._low_level = self.backbone.strides.index(4)
        fine = self.backbone.channels[self._low_level]
        published = max(fine * 48 // 256, 1) if layout.scales_with_backbone else 48
        low_level = options.low_level_channels or published
        self.context = _context(self.deep, self.channels, options=options, layout=layout)
        self.low_level = ConvNormAct(fine, low_level, 1)
        self.decoder = _decoder(self.channels + low_level, self.channels, layout=layout)
        initialize(self.context, self.low_level, self.decoder)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / 4, W / 4)."""
        pyramid = self.backbone(images)
        fine = self.low_level(pyramid[self._low_level])
        context = resize(self.context(pyramid[-1]), fine.shape[2:], align_corners=self.align_corners)
        logits = self.head(self.decoder(torch.cat((context, fine), dim=1)))
        logits = enlarge_aligned(logits, self._factor, images.shape[2:])
        return DenseLogits(logits, self.auxiliary_logits(pyramid[-2]))


def _with_defaults_of(layout: Layout, options: DeepLabV3PlusOptions) -> DeepLabV3PlusOptions:
    published: dict[str, Any] = {"dropout": layout.dropout}
    if not layout.scales_with_backbone:
        published["channels"] = 256
    return options.model_copy(
        update={
            name: value
            for name, value in published.items()
            if name not in options.model_fields_set or getattr(options, name) is None
        }
    )


def _context(in_channels: int, channels: int, *, options: DeepLabV3PlusOptions, layout: Layout) -> nn.Module:
    rates = options.atrous_rates or tuple(96 // options.output_stride * factor for factor in (1, 2, 3))
    pyramid = AtrousPyramid(
        in_channels,
        channels,
        rates=rates,
        separable=layout.separable,
        act_between=layout.act_between,
        projection_kernel=layout.projection_kernel,
        dropout=layout.projection_dropout,
    )
    if not layout.refines_context:
        return pyramid
    return nn.Sequential(pyramid, SeparableConvNormAct(channels, channels, act_between=layout.act_between))


def _decoder(in_channels: int, channels: int, *, layout: Layout) -> nn.Sequential:
    decoder = nn.Sequential()
    for index in range(layout.decoder_convs):
        width = channels if index else in_channels
        if index and layout.decoder_dropout:
            decoder.append(Dropout(layout.decoder_dropout))
        decoder.append(
            SeparableConvNormAct(width, channels, act_between=layout.act_between)
            if layout.separable
            else ConvNormAct(width, channels)
        )
    return decoder


ENTRY = NetworkEntry(
    build=DeepLabV3Plus,
    options=DeepLabV3PlusOptions,
    title="DeepLabV3+",
    paper="Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation",
    year=2018,
    family="context",
    url="https://arxiv.org/abs/1802.02611",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/tensorflow/models/tree/master/research/deeplab",
    licence="Apache-2.0",
    good_for="Street scenes and photographs: wide context and good boundaries.",
    variants={
        "resnet50c": {},
        "resnet18c": {"backbone": "resnet18c"},
        "resnet101c": {"backbone": "resnet101c"},
        "resnet101, as in the paper": {
            "backbone": "resnet101",
            "output_stride": 16,
            "dilation": "uniform",
            "multi_grid": (1, 2, 4),
            "layout": "paper",
            "auxiliary": False,
        },
    },
)
