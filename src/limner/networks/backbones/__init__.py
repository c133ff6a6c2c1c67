"""Backbones that return feature pyramids; the only place that imports timm."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import torch

from limner.core.errors import ConfigError, UnknownNameError, describe
from limner.networks.backbones.densenet import DENSENETS, DenseNet
from limner.networks.backbones.hrnet import HRNETS, HRNet, published_name
from limner.networks.backbones.hybrid_vit import HYBRID_VITS, HybridViT
from limner.networks.backbones.mit import MIX_TRANSFORMERS, MixTransformer
from limner.networks.backbones.mobilenetv2 import MOBILENETV2, MobileNetV2
from limner.networks.backbones.mobilenetv3 import MOBILENETV3S, MobileNetV3
from limner.networks.backbones.mpvit import MPVITS, MPViT
from limner.networks.backbones.pretrained import Pretrained, load_pretrained
from limner.networks.backbones.resnet import ALL_RESNETS, Dilation, OutputStride, ResNet
from limner.networks.backbones.swin import SWINS, Swin
from limner.networks.backbones.vgg import VGG, VGGS
from limner.networks.backbones.vit import DINOV2S, VITS, ViT, ViTShape

if TYPE_CHECKING:
    from limner.networks.backbones.timm_backbone import TimmBackbone

__all__ = [
    "Backbone",
    "Dilation",
    "OutputStride",
    "Pretrained",
    "build_backbone",
    "build_densenet",
    "build_hybrid_vit",
    "build_vgg",
    "build_vit",
]


class Backbone(Protocol):
    """Interface of every backbone.

    Attributes:
        channels: Channels of each map.
        strides: Stride of each map relative to the input, in pixels, ascending.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Map (B, C, H, W) to one map per stride, from the finest to the coarsest."""
        ...


def build_backbone(
    name: str,
    *,
    in_channels: int = 3,
    output_stride: OutputStride = 32,
    dilation: Dilation = "contracted",
    multi_grid: tuple[int, ...] = (1,),
    pretrained: Pretrained = False,
) -> "HRNet | MixTransformer | MobileNetV2 | MobileNetV3 | MPViT | ResNet | Swin | TimmBackbone | ViT":
    """Build a backbone by name.

    Args:
        name: One of limner's (`resnet18`, `resnet50c`, `mit_b0`, `swin_tiny_patch4_window7_224`,
            `vit_base_patch16_224`, `mpvit_small`, `hrnetv2_w18`, `mobilenet_v2`, ...) or any of timm.
        in_channels: Channels of the image.
        output_stride: Stride of the coarsest map.
        dilation: How limner's ResNets reach an output stride below 32.
        multi_grid: Dilation factors of the blocks in the last stage of limner's ResNets.
        pretrained: Whether to load pretrained weights, and from where.

    Raises:
        UnknownNameError: The backbone does not exist.
        ConfigError: The output stride is not supported, or required weights are unavailable.
    """
    architecture = name.split(".")[0]
    backbone: HRNet | MixTransformer | MobileNetV2 | MobileNetV3 | MPViT | ResNet | Swin | TimmBackbone | ViT
    if architecture in ALL_RESNETS:
        backbone = ResNet(
            ALL_RESNETS[architecture],
            in_channels=in_channels,
            output_stride=output_stride,
            dilation=dilation,
            multi_grid=multi_grid,
        )
    elif architecture in MIX_TRANSFORMERS:
        _refuse_dilation(name, output_stride)
        backbone = MixTransformer(MIX_TRANSFORMERS[architecture], in_channels=in_channels)
    elif architecture == MOBILENETV2:
        backbone = MobileNetV2(in_channels=in_channels, output_stride=output_stride)
    elif architecture in MOBILENETV3S:
        shape = MOBILENETV3S[architecture]
        backbone = MobileNetV3(shape, in_channels=in_channels, output_stride=output_stride)
    elif architecture in SWINS:
        _refuse_dilation(name, output_stride)
        backbone = Swin(SWINS[architecture], in_channels=in_channels)
    elif architecture in HRNETS:
        _refuse_dilation(name, output_stride)
        backbone = HRNet(HRNETS[architecture], in_channels=in_channels)
    elif architecture in MPVITS:
        _refuse_dilation(name, output_stride)
        backbone = MPViT(MPVITS[architecture], in_channels=in_channels)
    elif architecture in VITS:
        _refuse_dilation(name, output_stride)
        backbone = ViT(VITS[architecture], in_channels=in_channels)
    else:
        backbone = _build_timm(name, in_channels=in_channels, output_stride=output_stride)
    published = published_name(architecture) if architecture in HRNETS else name
    load_pretrained(backbone, published, pretrained, in_channels=in_channels)
    return backbone


def _build_timm(name: str, *, in_channels: int, output_stride: OutputStride) -> "TimmBackbone":
    from limner.networks.backbones.timm_backbone import TimmBackbone  # timm is slow to import

    return TimmBackbone(name, in_channels=in_channels, output_stride=output_stride)


def _refuse_dilation(name: str, output_stride: int) -> None:
    if output_stride != 32:
        raise ConfigError(
            describe(
                f"The strides of the backbone {name!r} are fixed",
                found=f"output stride {output_stride}",
                fix="Choose a network that works with these strides, such as upernet, or a ResNet.",
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


def build_vgg(name: str, *, in_channels: int = 3, pretrained: Pretrained = False) -> VGG:
    """Build the convolutions of a VGG; the arguments are those of `build_backbone`.

    Raises:
        UnknownNameError: limner has no VGG of that name.
    """
    architecture = name.split(".")[0]
    if architecture not in VGGS:
        raise UnknownNameError("VGG", name, VGGS)
    convs, normed = VGGS[architecture]
    vgg = VGG(convs, normed=normed, in_channels=in_channels)
    load_pretrained(vgg, name, pretrained, in_channels=in_channels)
    return vgg


def build_vit(
    name: str,
    *,
    in_channels: int = 3,
    num_blocks: int | None = None,
    pretrained: Pretrained = False,
    **arguments: Any,
) -> ViT:
    """Build a ViT; `arguments` are those of `ViT`.

    Raises:
        UnknownNameError: limner has no ViT of that name.
        ConfigError: A tap is beyond the last block, or required weights are unavailable.
    """
    shape = _shape(name, VITS | DINOV2S, num_blocks)
    last = max(arguments.get("taps") or [0])
    if last >= shape.num_blocks:
        raise ConfigError(
            describe(
                f"The backbone {name!r} has no block {last}",
                found=f"taps up to {last}, counted from 0",
                expected=f"at most {shape.num_blocks - 1}",
            )
        )
    transformer = ViT(shape, in_channels=in_channels, **arguments)
    load_pretrained(transformer, name, pretrained, in_channels=in_channels)
    return transformer


def build_hybrid_vit(
    name: str,
    *,
    in_channels: int = 3,
    num_blocks: int | None = None,
    pretrained: Pretrained = False,
    **arguments: Any,
) -> HybridViT:
    """Build a ViT on the feature map of a ResNet; `arguments` are those of `HybridViT`.

    Raises:
        UnknownNameError: The transformer does not exist.
    """
    transformer = HybridViT(_shape(name, HYBRID_VITS, num_blocks), in_channels=in_channels, **arguments)
    load_pretrained(transformer, name, pretrained, in_channels=in_channels)
    return transformer


def _shape(name: str, shapes: dict[str, ViTShape], num_blocks: int | None) -> ViTShape:
    architecture = name.split(".")[0]
    if architecture not in shapes:
        raise UnknownNameError("backbone", name, shapes)
    shape = shapes[architecture]
    return replace(shape, num_blocks=num_blocks or shape.num_blocks)
