"""Feature pyramids that networks stand on; the only place that knows timm."""

from typing import TYPE_CHECKING, Protocol

import torch

from limner.core.errors import ConfigError, describe
from limner.networks.backbones.densenet import DENSENETS, DenseNet
from limner.networks.backbones.mit import MIX_TRANSFORMERS, MixTransformer
from limner.networks.backbones.pretrained import Pretrained, load_pretrained
from limner.networks.backbones.resnet import RESNETS, Dilation, OutputStride, ResNet
from limner.networks.backbones.swin import SWINS, Swin
from limner.networks.backbones.vit import VITS, ViT, ViTShape

if TYPE_CHECKING:
    from limner.networks.backbones.timm_backbone import TimmBackbone

__all__ = ["Backbone", "Dilation", "OutputStride", "Pretrained", "build_backbone", "build_densenet"]


class Backbone(Protocol):
    """What every backbone is.

    Attributes:
        channels: Channels of each map.
        strides: Pixels of the input that one pixel of each map stands for, ascending.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Map (B, C, H, W) to one map a stride, from the finest to the coarsest."""
        ...


def build_backbone(
    name: str,
    *,
    in_channels: int = 3,
    output_stride: OutputStride = 32,
    dilation: Dilation = "contracted",
    multi_grid: tuple[int, ...] = (1,),
    pretrained: Pretrained = False,
) -> "MixTransformer | ResNet | Swin | TimmBackbone | ViT":
    """Build a backbone by name.

    Args:
        name: One of ours (`resnet18`, `resnet50c`, `mit_b0`, `swin_tiny_patch4_window7_224`,
            `vit_base_patch16_224`, ...) or any timm model.
        in_channels: Channels of the image.
        output_stride: Stride of the coarsest map.
        dilation: How our ResNets reach an output stride below 32.
        multi_grid: Factors on the dilation in the last stage of our ResNets.
        pretrained: Whether published weights are loaded, and from where.

    Raises:
        UnknownNameError: There is no such backbone.
        ConfigError: It cannot have that output stride, or its weights are insisted on and cannot be had.
    """
    architecture = name.split(".")[0]
    backbone: MixTransformer | ResNet | Swin | TimmBackbone | ViT
    if architecture in RESNETS:
        backbone = ResNet(
            RESNETS[architecture],
            in_channels=in_channels,
            output_stride=output_stride,
            dilation=dilation,
            multi_grid=multi_grid,
        )
    elif architecture in MIX_TRANSFORMERS or architecture in SWINS:
        _refuse_dilation(name, output_stride)
        backbone = (
            Swin(SWINS[architecture], in_channels=in_channels)
            if architecture in SWINS
            else MixTransformer(MIX_TRANSFORMERS[architecture], in_channels=in_channels)
        )
    elif architecture in VITS:
        _refuse_dilation(name, output_stride)
        backbone = ViT(VITS[architecture], in_channels=in_channels)
    else:
        from limner.networks.backbones.timm_backbone import TimmBackbone  # timm is slow to import

        backbone = TimmBackbone(name, in_channels=in_channels, output_stride=output_stride)
    load_pretrained(backbone, name, pretrained, in_channels=in_channels)
    return backbone


def _refuse_dilation(name: str, output_stride: int) -> None:
    if output_stride != 32:
        raise ConfigError(
            describe(
                f"The backbone {name!r} has one set of strides, which nothing can change",
                found=f"output stride {output_stride}",
                mend="Choose a network that takes the strides as they are, such as upernet, or a ResNet.",
            )
        )


def build_densenet(
    name: str,
    *,
    in_channels: int = 3,
    output_stride: OutputStride = 32,
    pretrained: Pretrained = False,
) -> DenseNet:
    """Build a DenseNet that can be dilated, unlike timm's; the arguments are those of `build_backbone`."""
    densenet = DenseNet(DENSENETS[name], in_channels=in_channels, output_stride=output_stride)
    load_pretrained(densenet, name, pretrained, in_channels=in_channels)
    return densenet
