"""First weights of what is trained from scratch."""

import torch
from torch import nn

from limner.layers.fcn_head import PixelClassifier

CLASSIFIER_GAIN = 1 / 3
"""Variance of a classifier's weights times their number; PyTorch's own for a convolution.

Scores then start small, so that all classes are about equally likely: with He's gain of 2 the first tens of
steps only unlearn a guess. Much smaller is worse again: the layers below then hardly see a gradient.
"""


def initialize(*parts: nn.Module | None) -> None:
    """Draw weights that keep the variance of the activations (He et al., ICCV 2015), and small classifiers.

    Norms keep their scale of one, and every bias of a convolution starts at zero.
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


def init_uniform(*parts: nn.Module) -> None:
    """Draw convolutions evenly, with a variance of one over their inputs, as detectron2's networks begin."""
    for part in parts:
        for module in part.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def init_classifier(weight: torch.Tensor, *, inputs: float) -> None:
    """Draw the weights of a classifier, of any shape, each of whose scores sums over so many `inputs`."""
    nn.init.normal_(weight, std=(CLASSIFIER_GAIN / inputs) ** 0.5)
