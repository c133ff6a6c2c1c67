"""First weights of what is trained from scratch."""

from torch import nn

from limner.layers.fcn_head import PixelClassifier

CLASSIFIER_STD = 0.01
"""So small that all classes start about equally likely: larger first scores cost the first tens of steps."""


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
                nn.init.normal_(module.conv.weight, std=CLASSIFIER_STD)
