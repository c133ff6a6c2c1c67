"""The partial decoder: combines the three coarsest maps by multiplication and ignores finer ones.

Paper: Cascaded Partial Decoder for Fast and Accurate Salient Object Detection (Wu et al., CVPR 2019),
https://arxiv.org/abs/1904.08739, in the form of PraNet.
"""

import torch
from torch import nn

from limner.layers.convolution import ConvNormAct
from limner.layers.fcn_head import PixelClassifier
from limner.layers.norm import NormName
from limner.layers.resize import resize


class PartialDecoder(nn.Module):
    """Logits from three maps of equal width, each multiplied with the upsampled coarser ones.

    Shape legend: B batch, C channels of each map, K classes, h and w the finest map's height and width.
    """

    def __init__(self, channels: int, num_classes: int, *, norm: NormName = "batch") -> None:
        super().__init__()

        def conv(width: int) -> ConvNormAct:
            return ConvNormAct(width, width, bias=False, norm=norm, activation="none")

        self.deep_to_middle = conv(channels)
        self.deep_to_fine = conv(channels)
        self.middle_to_fine = conv(channels)
        self.deep_beside_middle = conv(channels)
        self.coarse_beside_fine = conv(2 * channels)
        self.join_middle = conv(2 * channels)
        self.join_fine = conv(3 * channels)
        self.last = conv(3 * channels)
        self.head = PixelClassifier(3 * channels, num_classes)

    def forward(self, deep: torch.Tensor, middle: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """Map three maps (B, C, ...) with relative strides 4, 2 and 1 to logits (B, K, h, w)."""
        size_middle, size_fine = middle.shape[2:], fine.shape[2:]
        deep_up = resize(deep, size_middle, align_corners=True)
        # Resize in two steps as in the reference; a single step would give different values.
        deep_up_twice = resize(deep_up, size_fine, align_corners=True)
        middle_up = resize(middle, size_fine, align_corners=True)
        product_middle = self.deep_to_middle(deep_up) * middle
        product_fine = self.deep_to_fine(deep_up_twice) * self.middle_to_fine(middle_up) * fine
        coarse = self.join_middle(torch.cat((product_middle, self.deep_beside_middle(deep_up)), dim=1))
        coarse = self.coarse_beside_fine(resize(coarse, size_fine, align_corners=True))
        logits: torch.Tensor = self.head(self.last(self.join_fine(torch.cat((product_fine, coarse), dim=1))))
        return logits
