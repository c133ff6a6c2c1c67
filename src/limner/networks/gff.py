"""GFF: gated fusion of all backbone levels, decided at each pixel.

Paper: Gated Fully Fusion for Semantic Segmentation (Li et al., AAAI 2020), https://arxiv.org/abs/1904.01803.
Authors' code: https://github.com/lxtGH/DecoupleSegNets (MIT licence), which has the layers only on another
backbone.

What differs, and why: all levels are fused at once, as in the paper's equation 4; the released code
overwrites each level before it fuses the next. The paper's ResNet version has no released code, so there is
no reference for its number of parameters; widths here are the paper's 256.

Shape legend: B batch, C channels, D channels of the head, K classes, H and W the input's height and width.
"""

import torch
from torch import nn

from limner.core.outputs import DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.initialization import initialize
from limner.layers.pyramid_pooling import PyramidPooling
from limner.layers.resize import resize
from limner.networks.backbones import Pretrained
from limner.networks.context_network import ContextNetwork, ContextOptions
from limner.networks.entry import NetworkEntry


class GFFOptions(ContextOptions):
    """Options of `GFF`."""


class GFF(ContextNetwork):
    """Dilated backbone, pyramid pooling, gated fusion of all levels, a dense top-down pyramid, classifier."""

    share = 8

    def __init__(
        self,
        options: GFFOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__(options, num_classes=num_classes, in_channels=in_channels, pretrained=pretrained)
        self._first = next(i for i, stride in enumerate(self.backbone.strides) if stride >= 4)
        widths = self.backbone.channels[self._first :]
        self.pyramid = nn.Sequential(
            PyramidPooling(self.deep, max(self.deep // 4, 1)),
            ConvNormAct(max(self.deep // 4, 1), self.channels, 1),
        )
        self.reductions = nn.ModuleList(ConvNormAct(width, self.channels, 1) for width in widths)
        self.gates = nn.ModuleList(nn.Conv2d(width, self.channels, 1) for width in widths)
        # The coarsest level reads the pyramid and itself, each finer one also the outputs of coarser ones.
        self.dense = nn.ModuleList(
            ConvNormAct((2 + index) * self.channels, self.channels) for index in range(len(widths))
        )
        self.context = ConvNormAct((1 + len(widths)) * self.channels, self.channels)
        initialize(self.pyramid, self.reductions, self.gates, self.dense, self.context)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H / 4, W / 4)."""
        maps = self.backbone(images)[self._first :]
        size = maps[0].shape[2:]
        levels = [resize(self.pyramid(maps[-1]), size)]
        fused = self._fuse(maps)
        for level, dense in zip(reversed(fused), self.dense, strict=True):
            levels.append(dense(torch.cat((*levels, resize(level, size)), dim=1)))
        logits = self.head(self.context(torch.cat(levels, dim=1)))
        return DenseLogits(logits, self.auxiliary_logits(maps[-2]))

    def _fuse(self, maps: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        """Let each level keep its gated part and take the rest from the other levels; sizes do not change."""
        gates = [gate(features).sigmoid() for gate, features in zip(self.gates, maps, strict=True)]
        reduced = [reduce(features) for reduce, features in zip(self.reductions, maps, strict=True)]
        sent = [gate * level for gate, level in zip(gates, reduced, strict=True)]
        fused = []
        for index, (gate, level) in enumerate(zip(gates, reduced, strict=True)):
            others = [resize(x, level.shape[2:]) for i, x in enumerate(sent) if i != index]
            received = torch.stack(others).sum(dim=0)
            fused.append(level + sent[index] + (1 - gate) * received)
        return fused


ENTRY = NetworkEntry(
    build=GFF,
    options=GFFOptions,
    title="GFF",
    paper="Gated Fully Fusion for Semantic Segmentation",
    year=2020,
    family="context",
    url="https://arxiv.org/abs/1904.01803",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/lxtGH/DecoupleSegNets",
    licence="MIT",
    good_for="Street scenes with thin objects: fine logits at stride 4 with context from the whole image.",
    remark="The authors' released network, with 141,103,808 parameters, is a different one: WideResNet38 and "
    "DeepLabV3+'s atrous pyramid in front, three levels instead of four, and dilated bottlenecks in the "
    "dense pyramid; this one is the paper's, which has no released code.",
    variants={
        "resnet50c": {},
        "resnet18c": {"backbone": "resnet18c"},
        "resnet101c": {"backbone": "resnet101c"},
    },
)
