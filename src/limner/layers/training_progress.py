"""What lets a layer change its ways as training goes on, whoever runs the training.

A layer that follows is told how far training is at its beginning and after every step; it must derive
everything from that number, so that a resumed run goes on alike. Nobody tells it afterwards: what it needs
for predicting belongs into its buffers.
"""

from abc import abstractmethod

from torch import nn


class ProgressAware(nn.Module):
    """Base of layers that are told how far training is."""

    @abstractmethod
    def set_progress(self, progress: float) -> None:
        """Take note of the part of the training that is done, in [0, 1]."""


def notify_progress(module: nn.Module, progress: float) -> None:
    """Tell every layer inside `module` that follows; `progress` is in [0, 1]."""
    for layer in module.modules():
        if isinstance(layer, ProgressAware):
            layer.set_progress(progress)
