"""Exponential moving average (EMA) of the weights."""

import copy

import torch
from torch import nn

from limner.training.sharded_model import local_part


class WeightAverage:
    """A copy of a module with an exponential moving average of its weights.

    The decay starts low and rises to its final value, so that the initial weights are forgotten quickly
    in short runs: at update n it is ``min(decay, (1 + n) / (10 + n))``, as in TensorFlow's
    ExponentialMovingAverage. Floating-point buffers, such as the statistics of batch norm, are averaged
    with the weights they belong to; whole-number buffers are copied.

    Attributes:
        module: The averaged copy, in evaluation mode and without gradients.
        decay: The final decay.
    """

    def __init__(self, module: nn.Module, *, decay: float) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, module: nn.Module, *, step: int) -> None:
        """Update the average with the weights of `module`.

        Args:
            module: The module in training, with the same architecture, and divided between processes in the
                same way.
            step: Number of optimizer steps done, 1 after the first.
        """
        weight = 1 - decay_at(step, self.decay)
        followed, held = (
            {name: local_part(value) for name, value in each.state_dict().items()}
            for each in (module, self.module)
        )
        floating = [name for name, value in held.items() if value.is_floating_point()]
        torch._foreach_lerp_([held[n] for n in floating], [followed[n] for n in floating], weight)
        for name in held.keys() - set(floating):
            held[name].copy_(followed[name])


def decay_at(step: int, decay: float) -> float:
    """Return the decay of the update after `step` steps."""
    return min(decay, (1 + step) / (10 + step))
