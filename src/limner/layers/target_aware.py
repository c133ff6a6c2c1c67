"""Networks whose training pass also takes the targets of the batch, in any training loop."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

from limner.core.targets import Target


class TargetAware(nn.Module):
    """Base class of networks that use the targets in training, such as to learn to restore noisy ones.

    Their ``forward(images, targets=None)`` takes the batch form of `takes`; prediction has none.
    """

    takes: ClassVar[type[Target[Any]]]
    """Kind of targets."""


def target_inputs(module: nn.Module, targets: Mapping[type[Target[Any]], Any]) -> tuple[Any, ...]:
    """Return what a network takes besides the images of a batch in training: its targets, or nothing.

    Args:
        module: The network, or a module that contains it and passes its arguments on.
        targets: The targets of a batch by kind.
    """
    for each in module.modules():
        if isinstance(each, TargetAware):
            return (targets.get(each.takes),)
    return ()
