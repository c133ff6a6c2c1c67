"""FCN head: a few convolutions, dropout, classifier."""

import torch
from torch import nn

from limner.layers.activation import ActivationName
from limner.layers.convolution import ConvNormAct
from limner.layers.dimensions import CONVOLUTION, DROPOUT
from limner.layers.norm import NormName


class PixelClassifier(nn.Sequential):
    """Channel dropout, then a convolution to one score per class."""

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        kernel_size: int = 1,
        dropout: float = 0.0,
        spatial_dims: int = 2,
    ) -> None:
        super().__init__()
        if dropout:
            self.dropout = DROPOUT[spatial_dims](dropout)
        self.conv = CONVOLUTION[spatial_dims](in_channels, num_classes, kernel_size, padding=kernel_size // 2)


class FCNHead(nn.Module):
    """`num_convs` 3x3 convolutions, then the classifier; the auxiliary head of PSPNet and DeepLab.

    Paper: Fully Convolutional Networks for Semantic Segmentation (Long et al., 2015).
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        num_classes: int,
        num_convs: int = 1,
        norm: NormName = "batch",
        bias: bool | None = None,
        activation: ActivationName = "relu",
        dropout: float = 0.1,
        spatial_dims: int = 2,
    ) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            *(
                ConvNormAct(
                    channels if index else in_channels,
                    channels,
                    bias=bias,
                    norm=norm,
                    activation=activation,
                    spatial_dims=spatial_dims,
                )
                for index in range(num_convs)
            )
        )
        self.classifier = PixelClassifier(
            channels if num_convs else in_channels, num_classes, dropout=dropout, spatial_dims=spatial_dims
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Score each pixel: (B, C, *S) -> (B, K, *S)."""
        logits: torch.Tensor = self.classifier(self.convs(features))
        return logits
