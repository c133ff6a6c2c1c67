"""VGG's convolutions, whose last three pooled maps FCN-8s reads.

Paper: Very Deep Convolutional Networks for Large-Scale Image Recognition (Simonyan and Zisserman, ICLR 2015),
https://arxiv.org/abs/1409.1556. Parameters are named as in timm and torchvision, so their weights load.

Why not timm's own: it allocates the linear layers, of a hundred million weights, before it removes them, and
pools without rounding up, as Caffe does.
"""

import torch
from torch import nn

from limner.layers.norm import TolerantBatchNorm2d

WIDTHS = (64, 128, 256, 512, 512)
"""Channels of the convolutions before each pooling."""

VGGS = {
    f"vgg{depth}{suffix}": (convs, bool(suffix))
    for depth, convs in (
        (11, (1, 1, 2, 2, 2)),
        (13, (2, 2, 2, 2, 2)),
        (16, (2, 2, 3, 3, 3)),
        (19, (2, 2, 4, 4, 4)),
    )
    for suffix in ("", "_bn")
}
"""Name -> number of convolutions before each pooling, and whether they are normalised."""


class VGG(nn.Module):
    """VGG without its linear layers.

    Attributes:
        channels: Channels of each map that `forward` returns.
        strides: Stride of each map relative to the input, in pixels.
    """

    def __init__(self, convs: tuple[int, ...], *, normed: bool, in_channels: int = 3) -> None:
        """Build the layers with random weights.

        Args:
            convs: Number of convolutions before each of the five poolings.
            normed: Whether batch normalisation follows each.
            in_channels: Channels of the image.
        """
        super().__init__()
        self.channels, self.strides = WIDTHS[2:], (8, 16, 32)
        layers: list[nn.Module] = []
        width = in_channels
        for out, count in zip(WIDTHS, convs, strict=True):
            for _ in range(count):
                layers.append(nn.Conv2d(width, out, 3, padding=1))
                layers += [TolerantBatchNorm2d(out)] if normed else []
                layers.append(nn.ReLU(inplace=True))
                width = out
            layers.append(nn.MaxPool2d(2, stride=2, ceil_mode=True))
        self.features = nn.Sequential(*layers)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps after the last three poolings: (B, C_i, H / stride_i, W / stride_i), rounded up."""
        maps, x = [], images
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                maps.append(x)
        return tuple(maps[2:])
