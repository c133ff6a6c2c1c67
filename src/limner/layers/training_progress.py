"""Notification of layers that depend on training progress, in any training loop.

A `ProgressAware` layer gets the training progress at the beginning and after every step. Its state must be a
function of that number, so that a resumed run continues identically. It is not notified after training: what
prediction needs must be in its buffers.
"""

from abc import abstractmethod

from torch import nn


class ProgressAware(nn.Module):
    """Base class of layers that depend on training progress."""

    @abstractmethod
    def set_progress(self, progress: float) -> None:
        """Set the fraction of training that is done, in [0, 1]."""


def notify_progress(module: nn.Module, progress: float) -> None:
    """Notify every `ProgressAware` layer inside `module`; `progress` is in [0, 1]."""
    for layer in module.modules():
        if isinstance(layer, ProgressAware):
            layer.set_progress(progress)
