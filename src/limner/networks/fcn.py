"""FCN: a dilated ResNet, or all branches of an HRNet, and a few convolutions before the classifier.

Paper: Fully Convolutional Networks for Semantic Segmentation (Long et al., CVPR 2015),
https://arxiv.org/abs/1411.4038. Authors' code: https://github.com/shelhamer/fcn.berkeleyvision.org
(BSD-2-Clause licence; Caffe).

What differs, and why: the authors use VGG-16 and upsample with learned deconvolutions. Today FCN usually
means a dilated ResNet, and so it does here: by default mmsegmentation's (Apache-2.0), which concatenates the
result with its input, and torchvision's as a variant. Another variant is HRNet's network for segmentation,
which mmsegmentation writes as an FCN: one 1x1 convolution on all branches.
"""

from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from limner.core.outputs import DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.initialization import initialize
from limner.networks.backbones import Pretrained
from limner.networks.context_network import ContextNetwork, ContextOptions, JoinedWithInput
from limner.networks.entry import NetworkEntry


class FCNOptions(ContextOptions):
    """Options of `FCN`."""

    num_convs: Annotated[int, Field(gt=0)] = 2
    """Number of convolutions before the classifier."""
    kernel_size: Literal[1, 3] = 3
    """Kernel size of these convolutions."""
    joins_input: bool = True
    """Concatenate their result with the backbone's map and add another convolution."""
    joins_maps: bool = False
    """Concatenate all maps of the backbone, resized to the finest, as for HRNet; else take the coarsest."""


class FCN(ContextNetwork):
    """Dilated backbone, a few convolutions, classifier."""

    def __init__(
        self,
        options: FCNOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__(
            options,
            num_classes=num_classes,
            in_channels=in_channels,
            pretrained=pretrained,
            joins_maps=options.joins_maps,
        )
        convs = nn.Sequential(
            *(
                ConvNormAct(self.channels if index else self.deep, self.channels, options.kernel_size)
                for index in range(options.num_convs)
            )
        )
        self.context = JoinedWithInput(convs, self.deep, self.channels) if options.joins_input else convs
        initialize(self.context)


_HRNET = {
    "output_stride": 32,
    "joins_maps": True,
    "num_convs": 1,
    "kernel_size": 1,
    "joins_input": False,
    "dropout": 0.0,
    "auxiliary": False,
}
"""The head of HRNet's authors, for each of its sizes."""

ENTRY = NetworkEntry(
    build=FCN,
    options=FCNOptions,
    title="FCN",
    paper="Fully Convolutional Networks for Semantic Segmentation",
    year=2015,
    family="encoder-decoder",
    url="https://arxiv.org/abs/1411.4038",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/shelhamer/fcn.berkeleyvision.org",
    licence="BSD-2-Clause",
    good_for="A baseline; every other network here should beat it.",
    variants={
        "resnet50c": {},
        "resnet18c": {"backbone": "resnet18c"},
        "resnet101c": {"backbone": "resnet101c"},
        "resnet50, as in torchvision": {"backbone": "resnet50", "num_convs": 1, "joins_input": False},
        "hrnetv2_w18": {"backbone": "hrnetv2_w18", **_HRNET},
        "hrnetv2_w48": {"backbone": "hrnetv2_w48", **_HRNET},
    },
)
