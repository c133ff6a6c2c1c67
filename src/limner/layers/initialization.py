"""Weight initialisation."""

import torch
from torch import nn

from limner.layers.fcn_head import PixelClassifier

CLASSIFIER_GAIN = 1 / 3
"""Variance of a classifier's weights times their number; PyTorch's default for convolutions.

Logits then start small, so all classes are about equally likely; with He's gain of 2 the first tens of steps
only unlearn the random initial predictions. Much smaller is worse again: the layers below hardly get a
gradient.
"""


def initialize(*parts: nn.Module | None) -> None:
    """Apply He initialisation (ICCV 2015), which preserves the variance of activations; classifiers get less.

    Norms keep their scale of one; convolution biases are set to zero.
    """
    for part in filter(None, parts):
        for module in part.modules():
            if isinstance(module, (nn.Conv2d, nn.Conv3d)):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in part.modules():
            if isinstance(module, PixelClassifier):
                init_classifier(module.conv.weight, inputs=module.conv.weight[0].numel())


def initialize_transposed(*parts: nn.Module) -> None:
    """Apply He initialisation to transposed convolutions, as nnU-Net does, with biases of zero."""
    for part in parts:
        for module in part.modules():
            if isinstance(module, (nn.ConvTranspose2d, nn.ConvTranspose3d)):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def init_uniform(*parts: nn.Module) -> None:
    """Initialise convolutions uniformly with a variance of one over their inputs, as in detectron2."""
    for part in parts:
        for module in part.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def init_classifier(weight: torch.Tensor, *, inputs: float) -> None:
    """Initialise the weights of a classifier whose scores are sums over `inputs` values."""
    nn.init.normal_(weight, std=(CLASSIFIER_GAIN / inputs) ** 0.5)
