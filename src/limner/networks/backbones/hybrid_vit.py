"""The hybrid ViT: the tokens are the pixels of a ResNet's map at stride 16, not patches of the image.

Paper: An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale (Dosovitskiy et al., ICLR
2021), https://arxiv.org/abs/2010.11929, and for the ResNet, Big Transfer (Kolesnikov et al., ECCV 2020),
https://arxiv.org/abs/1912.11370. Code: https://github.com/Beckschen/TransUNet (Apache-2.0 licence), which
returns the intermediate maps; parameters are named as in timm, so its weight files load.

Shape legend: B batch, C channels, H and W the height and width of the padded image.
"""

import torch
from torch import nn
from torch.nn import functional as F

from limner.networks.backbones.vit import PATCH, ViT, ViTShape, pad_to_patches

EPSILON = 1e-6
WIDTHS = (64, 128, 256)
HYBRID_VITS = {
    "vit_base_r50_s16_224": ViTShape(768, 12, 12),
    "vit_base_r50_s16_384": ViTShape(768, 12, 12, 384),
}
"""Name -> shape of the transformer."""


class HybridViT(ViT):
    """ResNet with three maps, and a ViT on the last one whose tokens are the map at stride 16."""

    def __init__(
        self,
        shape: ViTShape,
        *,
        in_channels: int = 3,
        image_size: int | None = None,
        resnet_blocks: tuple[int, int, int] = (3, 4, 9),
        dropout: float = 0.0,
    ) -> None:
        """Build the network with random weights.

        Args:
            shape: Shape of the transformer.
            in_channels: Channels of the image.
            image_size: As for `ViT`.
            resnet_blocks: Bottlenecks in each stage of the ResNet; the published weights are for 3, 4, 9.
            dropout: As for `ViT`.
        """
        super().__init__(
            shape,
            image_size=image_size,
            taps=(shape.num_blocks - 1,),
            class_token=False,
            final_norm=True,
            dropout=dropout,
        )
        self.patch_embed: _Embedding = _Embedding(in_channels, shape.width, resnet_blocks)
        self.channels = (WIDTHS[0], 4 * WIDTHS[0], 4 * WIDTHS[1], shape.width)
        self.strides = (2, 4, 8, PATCH)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps from the finest to the coarsest: (B, C_i, H / stride_i, W / stride_i)."""
        *skips, last = self.patch_embed.backbone(pad_to_patches(images))
        return *skips, *self.transform(self.patch_embed.proj(last))


class _Embedding(nn.Module):
    def __init__(self, in_channels: int, width: int, num_blocks: tuple[int, int, int]) -> None:
        super().__init__()
        self.backbone = _ResNet(in_channels, num_blocks)
        self.proj = nn.Conv2d(4 * WIDTHS[-1], width, 1)


class _ResNet(nn.Module):
    """Three stages of bottlenecks with weight standardisation and group normalisation."""

    def __init__(self, in_channels: int, num_blocks: tuple[int, int, int]) -> None:
        super().__init__()
        self.stem = nn.Sequential()
        self.stem.add_module("conv", _StandardizedConv(in_channels, WIDTHS[0], 7, stride=2))
        self.stem.add_module("norm", _group_norm(WIDTHS[0]))
        before = WIDTHS[0]
        self.stages = nn.ModuleList()
        for stage, (width, count) in enumerate(zip(WIDTHS, num_blocks, strict=True)):
            blocks = nn.ModuleList(
                _Bottleneck(4 * width if index else before, width, stride=1 if index or not stage else 2)
                for index in range(count)
            )
            self.stages.append(nn.ModuleDict({"blocks": blocks}))
            before = 4 * width

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps at strides 2, 4, 8 and 16."""
        height, width = images.shape[2:]
        x = F.relu(self.stem(images))
        maps = [x]
        x = F.max_pool2d(x, 3, stride=2)  # no padding: one pixel less than a quarter of the image
        for stage, stride in zip(self.stages, (4, 8, 16), strict=True):
            for block in stage.get_submodule("blocks").children():
                x = block(x)
            # Only the returned map is padded; the next stage reads the unpadded one.
            missing = (width // stride - x.shape[3], height // stride - x.shape[2])
            maps.append(F.pad(x, (0, missing[0], 0, missing[1])))
        return maps


class _Bottleneck(nn.Module):
    def __init__(self, in_channels: int, width: int, *, stride: int) -> None:
        super().__init__()
        out_channels = 4 * width
        self.conv1, self.norm1 = _StandardizedConv(in_channels, width, 1), _group_norm(width)
        self.conv2, self.norm2 = _StandardizedConv(width, width, 3, stride=stride), _group_norm(width)
        self.conv3, self.norm3 = _StandardizedConv(width, out_channels, 1), _group_norm(out_channels)
        self.downsample = None
        if stride > 1 or in_channels != out_channels:
            self.downsample = nn.Sequential()
            self.downsample.add_module("conv", _StandardizedConv(in_channels, out_channels, 1, stride=stride))
            # One group per channel, as in the authors' code, unlike the norms beside it.
            self.downsample.add_module("norm", nn.GroupNorm(out_channels, out_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)))
        return F.relu(shortcut + self.norm3(self.conv3(x)))


class _StandardizedConv(nn.Conv2d):
    """Convolution whose filters are standardised to mean 0 and variance 1 before each use.

    Paper: Micro-Batch Training with Batch-Channel Normalization and Weight Standardization (Qiao et al.,
    2019), https://arxiv.org/abs/1903.10520.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1) -> None:
        padding = kernel_size // 2
        super().__init__(in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True, correction=0)
        weight = (self.weight - mean) * torch.rsqrt(variance + 1e-5)
        return F.conv2d(x, weight, stride=self.stride, padding=self.padding)


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, channels, eps=EPSILON)
