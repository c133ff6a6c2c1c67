"""GCN: kernels almost as large as the map, made cheap by separating them into rows and columns.

Paper: Large Kernel Matters: Improve Semantic Segmentation by Global Convolutional Network (Peng et al., CVPR
2017), https://arxiv.org/abs/1703.02719. The authors published no code; the layers are those of
https://github.com/ZijunDeng/pytorch-semantic-segmentation (MIT licence) with the paper's kernel of 15.

What differs, and why: maps are upsampled by interpolation as in that code, where the paper learns a
deconvolution. The logits are resized with `align_corners=False`, so input sides need not be 32k + 1.

Shape legend: B batch, C channels, K classes, H and W the input's height and width.
"""

import torch
from torch import nn

from limner.core.config import Config
from limner.core.outputs import DenseLogits
from limner.layers.initialization import init_classifier, initialize
from limner.layers.resize import resize
from limner.networks.backbones import Pretrained, build_backbone
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import OddSide


class GCNOptions(Config):
    """Options of `GCN`."""

    backbone: str = "resnet50"
    """Any of limner's ResNets, or a timm model with feature maps at several strides; resnet152 in the
    paper."""
    kernel_size: OddSide = 15
    """Size of the large kernels; 15 is the best in the paper."""


class GCN(nn.Module):
    """Backbone, large kernels on each map, and boundary refinement at each upsampling step."""

    def __init__(
        self,
        options: GCNOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_backbone(options.backbone, in_channels=in_channels, pretrained=pretrained)
        self._first = next(i for i, stride in enumerate(self.backbone.strides) if stride >= 4)
        widths = self.backbone.channels[self._first :]
        self.kernels = nn.ModuleList(LargeKernel(w, num_classes, options.kernel_size) for w in widths)
        self.refinements = nn.ModuleList(BoundaryRefinement(num_classes) for _ in widths)
        # One for each level that another is added to, then at half and full resolution.
        self.joint_refinements = nn.ModuleList(
            BoundaryRefinement(num_classes) for _ in range(len(widths) + 1)
        )
        initialize(self.kernels, self.refinements, self.joint_refinements)
        for module in self.modules():
            if isinstance(module, LargeKernel):
                module.init_as_classifier(len(widths))
            elif isinstance(module, BoundaryRefinement):
                module.init_as_identity()

    def forward(self, images: torch.Tensor) -> DenseLogits:
        """Score each pixel: (B, C, H, W) float -> logits (B, K, H, W)."""
        maps = self.backbone(images)[self._first :]
        levels = [
            refinement(kernel(features))
            for features, kernel, refinement in zip(maps, self.kernels, self.refinements, strict=True)
        ]
        logits, *finer = reversed(levels)
        *joints, half, full = self.joint_refinements
        for level, refinement in zip(finer, joints, strict=True):
            logits = refinement(level + resize(logits, level.shape[2:]))
        height, width = images.shape[2:]
        logits = half(resize(logits, (-(-height // 2), -(-width // 2))))
        return DenseLogits(full(resize(logits, (height, width))))


class LargeKernel(nn.Module):
    """A k x k kernel as the sum of k x 1 then 1 x k, and 1 x k then k x 1, without activations."""

    def __init__(self, in_channels: int, channels: int, side: int) -> None:
        super().__init__()
        column, row = (side, 1), (1, side)
        self.column_first = self._path(in_channels, channels, column, row)
        self.row_first = self._path(in_channels, channels, row, column)

    @staticmethod
    def _path(in_channels: int, channels: int, *kernels: tuple[int, int]) -> nn.Sequential:
        first, second = kernels
        return nn.Sequential(
            nn.Conv2d(in_channels, channels, first, padding=(first[0] // 2, first[1] // 2)),
            nn.Conv2d(channels, channels, second, padding=(second[0] // 2, second[1] // 2)),
        )

    def init_as_classifier(self, levels: int) -> None:
        """Initialise the last weights as a classifier's, since sums over levels are already class scores."""
        for path in (self.column_first, self.row_first):
            weight = path.get_parameter("1.weight")
            init_classifier(weight, inputs=2 * levels * weight[0].numel())

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, channels, h, w)."""
        summed: torch.Tensor = self.column_first(features) + self.row_first(features)
        return summed


class BoundaryRefinement(nn.Sequential):
    """Residual block of two 3x3 convolutions on the scores."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def init_as_identity(self) -> None:
        """Initialise to the identity: otherwise seven blocks in a row would amplify the scores."""
        nn.init.zeros_(self.get_parameter("2.weight"))

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        """Map (B, K, h, w) to (B, K, h, w)."""
        first, activation, second = self
        refined: torch.Tensor = scores + second(activation(first(scores)))
        return refined


ENTRY = NetworkEntry(
    build=GCN,
    options=GCNOptions,
    title="GCN",
    paper="Large Kernel Matters: Improve Semantic Segmentation by Global Convolutional Network",
    year=2017,
    family="context",
    url="https://arxiv.org/abs/1703.02719",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/ZijunDeng/pytorch-semantic-segmentation",
    licence="MIT",
    good_for="Large objects with a small network; logits at full resolution.",
    variants={
        "resnet50": {},
        "resnet18": {"backbone": "resnet18"},
        "resnet152, as in the paper": {"backbone": "resnet152"},
    },
)
