"""PSPNet: a dilated ResNet with pyramid pooling, which adds averages over grids of the whole image.

Paper: Pyramid Scene Parsing Network (Zhao et al., CVPR 2017), https://arxiv.org/abs/1612.01105.
Authors' code: https://github.com/hszhao/semseg (MIT licence).

What differs by default, and why: the deep stem is the narrower one and dilation is contracted, as in
mmsegmentation (Apache-2.0), whose weights then load; the logits are resized with `align_corners=False`, so
input sides need not be 8k + 1. The authors' network is `backbone="resnet50s", dilation="uniform",
align_corners=True`.
"""

from typing import Annotated

from pydantic import Field

from limner.core.outputs import DenseLogits
from limner.layers.initialization import initialize
from limner.layers.pyramid_pooling import PyramidPooling
from limner.networks.backbones import Pretrained
from limner.networks.context_network import ContextNetwork, ContextOptions
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width


class PSPNetOptions(ContextOptions):
    """Options of `PSPNet`."""

    bins: Annotated[tuple[Width, ...], Field(min_length=1)] = (1, 2, 3, 6)
    """Grid sizes of the pyramid pooling."""
    align_corners: bool = False
    """Whether the grids are resized to the map with aligned corners."""


class PSPNet(ContextNetwork):
    """Dilated backbone, pyramid pooling, classifier."""

    def __init__(
        self,
        options: PSPNetOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__(options, num_classes=num_classes, in_channels=in_channels, pretrained=pretrained)
        self.context = PyramidPooling(
            self.deep, self.channels, bins=options.bins, align_corners=options.align_corners
        )
        initialize(self.context)


ENTRY = NetworkEntry(
    build=PSPNet,
    options=PSPNetOptions,
    title="PSPNet",
    paper="Pyramid Scene Parsing Network",
    year=2017,
    family="context",
    url="https://arxiv.org/abs/1612.01105",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/hszhao/semseg",
    licence="MIT",
    good_for="Scenes in which the whole image helps to classify a region; boundaries are coarse.",
    variants={
        "resnet50c": {},
        "resnet18c": {"backbone": "resnet18c"},
        "resnet101c": {"backbone": "resnet101c"},
    },
)
