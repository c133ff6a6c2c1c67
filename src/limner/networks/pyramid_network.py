"""Base of MaskFormer and related networks: a backbone, and optional norms of its maps from stride 4.

Shape legend: B batch, C_i channels of level i, H and W the input's height and width, h_i and w_i the level's.
"""

from typing import Literal

from torch import Tensor, nn

from limner.core.config import Config
from limner.core.errors import ConfigError
from limner.layers.norm import PixelNorm, freeze_batch_norms
from limner.networks.backbones import Pretrained, build_backbone

FINEST_STRIDE = 4


class PyramidOptions(Config):
    """Options of every `PyramidNetwork`."""

    backbone: str = "resnet50"
    """Any of limner's ResNets, or a timm model with feature maps at strides 4, 8, 16 and 32, such as a
    Swin."""
    backbone_norm: Literal["trained", "frozen"] = "trained"
    """`frozen` keeps the encoder's pretrained batch normalisation fixed, as in the paper on COCO."""
    norm_features: bool | None = None
    """Apply LayerNorm to the backbone's maps; defaults to true for Swin only, as its authors do."""


def check_heads(network: str, heads: int, channels: int) -> None:
    """Check that the channels are divisible by the attention heads.

    Raises:
        ConfigError: They are not.
    """
    if channels % heads:
        raise ConfigError(f"{network}: {channels} channels are not divisible by {heads} heads.")


class PyramidNetwork(nn.Module):
    """A backbone and the norms of its maps; subclasses add the decoders.

    Attributes:
        widths: C_i, from the finest level to the coarsest.
        strides: Stride of each level relative to the input, in pixels.
    """

    def __init__(self, options: PyramidOptions, *, in_channels: int, pretrained: Pretrained) -> None:
        super().__init__()
        self.backbone = build_backbone(options.backbone, in_channels=in_channels, pretrained=pretrained)
        strides = self.backbone.strides
        self._first = next(i for i, stride in enumerate(strides) if stride >= FINEST_STRIDE)
        if options.backbone_norm == "frozen":
            freeze_batch_norms(self.backbone)
        self.widths, self.strides = self.backbone.channels[self._first :], strides[self._first :]
        is_swin = options.backbone.startswith("swin")
        norm_features = is_swin if options.norm_features is None else options.norm_features
        self.norms = nn.ModuleList(PixelNorm(width) for width in self.widths) if norm_features else None

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the levels (B, C_i, h_i, w_i) of images (B, C, H, W), finest first."""
        maps: tuple[Tensor, ...] = self.backbone(images)[self._first :]
        if self.norms is not None:
            maps = tuple(norm(features) for norm, features in zip(self.norms, maps, strict=True))
        return maps
