"""What MaskFormer and its kin stand on: a backbone whose maps from stride 4 on are read, normed where needed.

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
    """Options that all of them have."""

    backbone: str = "resnet50"
    """Any of our ResNets, or a timm model that gives maps at strides 4, 8, 16 and 32, such as a Swin."""
    backbone_norm: Literal["trained", "frozen"] = "trained"
    """`frozen` keeps the encoder's batch normalisation as it was pretrained, as the paper does on COCO."""
    norm_features: bool | None = None
    """Normalise the channels of each pixel of the backbone's maps; null does so for Swin, as its authors."""


def check_heads(network: str, heads: int, channels: int) -> None:
    """Refuse heads of attention that cannot share the channels.

    Raises:
        ConfigError: They cannot.
    """
    if channels % heads:
        raise ConfigError(f"{network}: {heads} heads cannot share {channels} channels evenly.")


class PyramidNetwork(nn.Module):
    """A backbone and the norms of its maps; subclasses add what reads them.

    Attributes:
        widths: C_i, from the finest level to the coarsest.
        strides: Pixels of the input that one pixel of each level stands for.
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
