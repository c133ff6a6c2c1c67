"""nnU-Net with a residual encoder: more blocks in the encoder, one convolution a stage in the decoder.

Paper: nnU-Net Revisited: A Call for Rigorous Validation in 3D Medical Image Segmentation (Isensee et al.,
MICCAI 2024), https://arxiv.org/abs/2404.09556. Authors' code:
https://github.com/MIC-DKFZ/dynamic-network-architectures (Apache-2.0 licence), `ResidualEncoderUNet`. Its
sizes M, L and XL differ in patch and batch only.

What differs, and why: as in `nnunet`, inputs of any size are padded, and the coarsest auxiliary head is
omitted.

Shape legend: B batch, C input channels, D output channels, *S spatial axes, *s those of the output.
"""

from collections.abc import Sequence

import torch
from torch import nn

from limner.core.outputs import DenseLogits
from limner.layers.activation import build_activation
from limner.layers.anisotropic_convolution import AnisotropicConv, ConvStyle
from limner.layers.dimensions import AVERAGE_POOL
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width
from limner.networks.staged_unet import EncoderStage, StagedUNet, StagedUNetOptions, build_style, stage_shape
from limner.networks.stages import PerStage, numbers_of_stages

BLOCKS = (1, 3, 4, 6, 6, 6)
"""The authors' numbers of blocks; further stages have as many as the last."""


class ResidualNnUNetOptions(StagedUNetOptions):
    """Options of `ResidualNnUNet`."""

    blocks: PerStage | None = None
    """Number of residual blocks of each stage; defaults to 1, 3, 4, 6, 6, 6, ..."""
    decoder_convs: PerStage = 1
    """Number of convolutions of each stage of the decoder, coarsest first."""
    stem_channels: Width | None = None
    """Channels of the convolution before the first stage; defaults to those of the stage."""


class ResidualNnUNet(StagedUNet):
    """U-Net in 2D or 3D with a residual encoder and deep supervision."""

    def __init__(
        self, options: ResidualNnUNetOptions, *, num_classes: int, in_channels: int = 3, spatial_dims: int = 2
    ) -> None:
        features = options.features
        shape = stage_shape(options, spatial_dims)
        style = build_style(options)
        usual = tuple(BLOCKS[min(stage, len(BLOCKS) - 1)] for stage in range(len(features)))
        blocks = numbers_of_stages(options.blocks or usual, len(features), "blocks")
        first = options.stem_channels or features[0]

        def build_stage(stage: EncoderStage) -> nn.Module:
            level, narrow, wide, kernel, stride = stage
            strided = _Block(narrow, wide, kernel, stride=stride, style=style)
            others = (_Block(wide, wide, kernel, stride=None, style=style) for _ in range(blocks[level] - 1))
            return nn.Sequential(strided, *others)

        super().__init__(
            options,
            shape,
            build_stage,
            stem=AnisotropicConv(in_channels, first, shape.kernels[0], style=style),
            stem_channels=first,
            decoder_convs=options.decoder_convs,
            num_classes=num_classes,
            style=style,
        )
        for module in self.modules():
            if isinstance(module, _Block):
                module.start_as_identity()


class _Block(nn.Module):
    """Two convolutions plus the input, which is averaged if strided and projected if channels change.

    Paper: Bag of Tricks for Image Classification with Convolutional Neural Networks (He et al., CVPR 2019),
    https://arxiv.org/abs/1812.01187, ResNet-D.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Sequence[int],
        *,
        stride: Sequence[int] | None,
        style: ConvStyle,
    ) -> None:
        super().__init__()
        dims = len(kernel)
        self.conv1 = AnisotropicConv(in_channels, out_channels, kernel, stride=stride, style=style)
        self.conv2 = AnisotropicConv(out_channels, out_channels, kernel, style=style.linear())
        strided = stride is not None and any(step != 1 for step in stride)
        self.pool = AVERAGE_POOL[dims](tuple(stride or ())) if strided else nn.Identity()  # type: ignore[arg-type]
        self.project = (
            AnisotropicConv(in_channels, out_channels, [1] * dims, style=style.linear(bias=False))
            if in_channels != out_channels
            else nn.Identity()
        )
        self.act = build_activation(style.activation, out_channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, *S) to (B, D, *s)."""
        branch = self.conv2(self.conv1(features))
        out: torch.Tensor = self.act(branch + self.project(self.pool(features)))
        return out

    def start_as_identity(self) -> None:
        """Set the scale of the last normalisation to zero, as the authors do, if it has one."""
        scale = getattr(getattr(self.conv2, "norm", None), "weight", None)
        if scale is not None:
            nn.init.zeros_(scale)


ENTRY = NetworkEntry(
    build=ResidualNnUNet,
    options=ResidualNnUNetOptions,
    title="nnU-Net ResEnc",
    paper="nnU-Net Revisited: A Call for Rigorous Validation in 3D Medical Image Segmentation",
    year=2024,
    family="medical",
    url="https://arxiv.org/abs/2404.09556",
    output=DenseLogits,
    spatial_dims=(3, 2),
    takes_topology=True,
    code="https://github.com/MIC-DKFZ/dynamic-network-architectures",
    licence="Apache-2.0",
    good_for="CT and MR where a GPU with 8 GB or more is available; more accurate than the plain nnU-Net.",
    remark="The authors' count includes the head of the coarsest stage, whose loss they weigh with 0.",
    variants={
        "": {},
        "7 stages up to 512": {"features": (32, 64, 128, 256, 512, 512, 512)},
    },
)
