"""nnU-Net: a U-Net whose stages, kernels and strides follow from the voxels of the data.

Paper: nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation (Isensee et
al., Nature Methods 2021), https://doi.org/10.1038/s41592-020-01008-z. Authors' code:
https://github.com/MIC-DKFZ/dynamic-network-architectures (Apache-2.0 licence), `PlainConvUNet`. With
`conv_bias=False` and `residual` it is also MONAI's `DynUNet`. `nnunet_topology` gives the authors' stages for
a patch and a spacing.

What differs, and why: inputs of any size are padded with zeros at their end to multiples of the strides; and
the coarsest auxiliary head is omitted, since the authors' training weighs its loss with 0 (`auxiliary_heads`
adds it).
"""

from torch import nn

from limner.core.outputs import DenseLogits
from limner.layers.anisotropic_convolution import stack_convs
from limner.layers.residual_block import ResidualBlock
from limner.networks.entry import NetworkEntry
from limner.networks.staged_unet import EncoderStage, StagedUNet, StagedUNetOptions, build_style, stage_shape
from limner.networks.stages import PerStage, numbers_of_stages


class NnUNetOptions(StagedUNetOptions):
    """Options of `NnUNet`."""

    convs: PerStage = 2
    """Number of convolutions of each stage of the encoder."""
    decoder_convs: PerStage = 2
    """Number of convolutions of each stage of the decoder, coarsest first."""
    residual: bool = False
    """Stages of the encoder are residual blocks of two convolutions, as in MONAI's DynUNet with
    `res_block`."""
    activation_first: bool = False
    """Activate before normalising."""


class NnUNet(StagedUNet):
    """U-Net in 2D or 3D with strided convolutions and deep supervision."""

    def __init__(
        self, options: NnUNetOptions, *, num_classes: int, in_channels: int = 3, spatial_dims: int = 2
    ) -> None:
        style = build_style(options, activation_first=options.activation_first)
        convs = numbers_of_stages(options.convs, len(options.features), "convs")

        def build_stage(stage: EncoderStage) -> nn.Module:
            level, narrow, wide, kernel, stride = stage
            if options.residual:
                return ResidualBlock(narrow, wide, kernel, stride=stride, style=style)
            return stack_convs(narrow, wide, kernel, count=convs[level], stride=stride, style=style)

        super().__init__(
            options,
            stage_shape(options, spatial_dims),
            build_stage,
            stem_channels=in_channels,
            decoder_convs=options.decoder_convs,
            num_classes=num_classes,
            style=style,
        )


ENTRY = NetworkEntry(
    build=NnUNet,
    options=NnUNetOptions,
    title="nnU-Net",
    paper="nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation",
    year=2021,
    family="medical",
    url="https://doi.org/10.1038/s41592-020-01008-z",
    output=DenseLogits,
    spatial_dims=(3, 2),
    takes_topology=True,
    code="https://github.com/MIC-DKFZ/dynamic-network-architectures",
    licence="Apache-2.0",
    good_for="CT and MR of any voxel size, trained from scratch.",
    remark="The authors' count includes the head of the coarsest stage, whose loss they weigh with 0.",
    variants={
        "": {},
        "7 stages up to 512": {"features": (32, 64, 128, 256, 512, 512, 512)},
        "half width": {"features": (16, 32, 64, 128, 160, 160)},
    },
)
