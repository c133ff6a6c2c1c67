"""Reverse attention: refine a coarse segmentation in regions that are not yet segmented.

Paper: Reverse Attention for Salient Object Detection (Chen et al., ECCV 2018), https://arxiv.org/abs/1807.09940,
in the form of PraNet and Inf-Net.

Shape legend: B batch, C input channels, D channels of the guide, K classes, h and w the map's sides.
"""

import torch
from torch import nn

from limner.layers.convolution import ConvNormAct
from limner.layers.resize import resize


def background_probability(logits: torch.Tensor) -> torch.Tensor:
    """Return the probability of background at each pixel: (B, K, h, w) -> (B, 1, h, w) in [0, 1].

    With one class, as in the papers, this is one minus the class's probability; with more, the probability
    of class 0, which is the same for two classes.
    """
    if logits.shape[1] == 1:
        return torch.sigmoid(-logits)
    return logits.softmax(dim=1)[:, :1]


class ReverseAttentionBranch(nn.Module):
    """Refine coarse logits with features outside of the predicted foreground."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        num_classes: int,
        num_convs: int = 2,
        kernel_size: int = 3,
        last_kernel_size: int = 3,
        guide_channels: int = 0,
    ) -> None:
        """Build the branch.

        Args:
            in_channels: C.
            channels: Channels of the convolutions.
            num_classes: K.
            num_convs: Number of convolutions between the first, which reduces channels, and the classifier.
            kernel_size: Their kernel size.
            last_kernel_size: Kernel size of the classifier.
            guide_channels: D; 0 without a guide.
        """
        super().__init__()
        self.narrow = ConvNormAct(in_channels, channels, 1, activation="none")
        self.convs = nn.Sequential(
            *(
                ConvNormAct(channels if index else channels + guide_channels, channels, kernel_size)
                for index in range(num_convs)
            )
        )
        self.last = ConvNormAct(channels, num_classes, last_kernel_size, activation="none")
        init_small_scale(self.last.norm)

    def forward(
        self, features: torch.Tensor, logits: torch.Tensor, guide: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Map (B, C, h, w), coarse scores (B, K, ...) and a guide (B, D, ...) to scores (B, K, h, w)."""
        size = features.shape[2:]
        logits = resize(logits, size)
        # A per-pixel factor commutes with a 1x1 convolution; it is cheaper after it, with fewer channels.
        attended = self.narrow.norm(background_probability(logits) * self.narrow.conv(features))
        if guide is not None:
            attended = torch.cat((attended, resize(guide, size)), dim=1)
        correction: torch.Tensor = self.last(self.convs(attended))
        return correction + logits


def init_small_scale(norm: nn.Module) -> None:
    """Initialise the scale of a norm before logits so that early refinements change them little."""
    assert isinstance(norm.weight, torch.Tensor)
    nn.init.constant_(norm.weight, 0.1)
