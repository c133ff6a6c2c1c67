"""DeepLabV3: parallel dilated convolutions capture context at several scales.

Paper: Rethinking Atrous Convolution for Semantic Image Segmentation (Chen et al., 2017),
https://arxiv.org/abs/1706.05587. Authors' code:
https://github.com/tensorflow/models/tree/master/research/deeplab (Apache-2.0 licence).

What differs by default, and why: the widths are mmsegmentation's (Apache-2.0), so its published scores apply:
512 channels and a 3x3 convolution that fuses the branches. The paper's 256 channels, as in torchvision and
segmentation-models-pytorch, are a variant of `ENTRY`. The factors of `multi_grid` multiply the last stage's
dilation, as in the paper; mmsegmentation uses them as the dilations themselves.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from limner.core.outputs import DenseLogits
from limner.layers.atrous_pyramid import AtrousPyramid
from limner.layers.convolution import ConvNormAct
from limner.layers.initialization import initialize
from limner.layers.resize import enlarge_aligned
from limner.networks.backbones import Pretrained
from limner.networks.context_network import ContextNetwork, ContextOptions
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width


class DeepLabV3Options(ContextOptions):
    """Options of `DeepLabV3`."""

    atrous_rates: Annotated[tuple[Width, ...], Field(min_length=1)] | None = None
    """Dilations of the atrous branches; defaults to the paper's: 6, 12, 18 at stride 16, doubled at stride
    8."""
    projection_kernel: Literal[1, 3] = 3
    """Kernel size of the convolution that fuses the branches; 1 in the paper."""
    projection_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout rate of the output of that convolution."""
    refines_context: bool = False
    """One more 3x3 convolution before the classifier."""
    enlarges_logits: bool = False
    """Return the logits at the size of the image, enlarged with aligned corners, as in
    segmentation-models-pytorch, instead of at the output stride."""


class DeepLabV3(ContextNetwork):
    """Dilated backbone, atrous pyramid, classifier."""

    def __init__(
        self,
        options: DeepLabV3Options,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__(options, num_classes=num_classes, in_channels=in_channels, pretrained=pretrained)
        self.context = nn.Sequential(
            AtrousPyramid(
                self.deep,
                self.channels,
                rates=options.atrous_rates or tuple(96 // options.output_stride * i for i in (1, 2, 3)),
                projection_kernel=options.projection_kernel,
                dropout=options.projection_dropout,
            )
        )
        if options.refines_context:
            self.context.append(ConvNormAct(self.channels, self.channels))
        self._factor = options.output_stride if options.enlarges_logits else 1
        initialize(self.context)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / s, W / s), s = 1 if enlarged."""
        outputs = super().forward(images)
        logits = enlarge_aligned(outputs.logits, self._factor, images.shape[2:])
        return DenseLogits(logits, outputs.auxiliary)


NARROW = {
    "channels": 256,
    "projection_kernel": 1,
    "projection_dropout": 0.5,
    "refines_context": True,
    "dropout": 0.0,
}
"""The head of torchvision and segmentation-models-pytorch."""

ENTRY = NetworkEntry(
    build=DeepLabV3,
    options=DeepLabV3Options,
    title="DeepLabV3",
    paper="Rethinking Atrous Convolution for Semantic Image Segmentation",
    year=2017,
    family="context",
    url="https://arxiv.org/abs/1706.05587",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/tensorflow/models/tree/master/research/deeplab",
    licence="Apache-2.0",
    good_for="Scenes with objects of very different sizes; DeepLabV3+ has sharper boundaries.",
    variants={
        "resnet50c": {},
        "resnet18c": {"backbone": "resnet18c"},
        "resnet101c, stride 16": {"backbone": "resnet101c", "output_stride": 16, "multi_grid": (1, 2, 4)},
        "resnet50, 256 channels": {"backbone": "resnet50", **NARROW},
    },
)
