"""3D U-Net: the U-Net of volumes, whose widths double before each pooling.

Paper: 3D U-Net: Learning Dense Volumetric Segmentation from Sparse Annotation (Cicek et al., MICCAI 2016),
https://arxiv.org/abs/1606.06650. The paper's 19069955 parameters (3 channels, 3 classes) are those of
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
    """Bias of the convolutions."""
    double_before_pool: bool = True
    """Reach the width of a level in its second convolution and keep it while up-sampling."""


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
