"""3D U-Net: a U-Net for volumes that doubles its channels before each pooling.

Paper: 3D U-Net: Learning Dense Volumetric Segmentation from Sparse Annotation (Cicek et al., MICCAI 2016),
https://arxiv.org/abs/1606.06650. The paper's 19069955 parameters (3 channels, 3 classes) correspond to
`norm_affine=False, upsampling_bias=False`.

What differs by default: convolutions are padded, so that the output has the size of the input;
`padding="valid"` is the paper's.
"""

from typing import Annotated

from pydantic import Field

from limner.core.outputs import DenseLogits
from limner.networks.entry import NetworkEntry
from limner.networks.unet import UNet, UNetOptions, Width


class UNet3DOptions(UNetOptions):
    """Options of `UNet`, with the 3D paper's defaults."""

    widths: Annotated[tuple[Width, ...], Field(min_length=2)] = (64, 128, 256, 512)
    """Channels at each resolution from the finest to the coarsest."""
    conv_bias: bool | None = True
    """Whether convolutions have a bias."""
    double_before_pool: bool = True
    """Double the channels in the second convolution of a level and keep them while upsampling."""


ENTRY = NetworkEntry(
    build=UNet,
    options=UNet3DOptions,
    title="3D U-Net",
    paper="3D U-Net: Learning Dense Volumetric Segmentation from Sparse Annotation",
    year=2016,
    family="encoder-decoder",
    url="https://arxiv.org/abs/1606.06650",
    output=DenseLogits,
    spatial_dims=(3,),
    good_for="Volumes such as CT, MRI and confocal stacks.",
    variants={"": {}, "half width": {"widths": (32, 64, 128, 256)}},
)
