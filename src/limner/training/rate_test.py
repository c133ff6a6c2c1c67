"""The learning-rate range test (Smith, 2017): a short run with an increasing learning rate."""

import math
from collections.abc import Callable

import torch
from torch import nn

from limner.core.plan import Plan
from limner.core.progress import Track, silent
from limner.core.tuning import RateTest
from limner.loading.dataset import Dataset
from limner.training.accelerator import build_accelerator
from limner.training.fit import build_batches, build_model
from limner.training.learner import Learner
from limner.training.teaching import build_criterion

LOWEST_RATE, HIGHEST_RATE = 1e-7, 10.0
"""First and last learning rate, for all optimizers."""

NUM_STEPS = 100
"""Number of steps: twelve per factor of ten."""

MEMORY = 0.9
"""Decay of the moving average of the loss."""

DIVERGENCE_FACTOR = 3.0
"""The test ends when the averaged loss exceeds its minimum by this factor."""


def run_rate_test(
    plan: Plan,
    *,
    train: Dataset,
    network: nn.Module | None = None,
    device: str = "auto",
    num_steps: int = NUM_STEPS,
    track: Track = silent,
    say: Callable[[str], None] = print,
) -> RateTest:
    """Train from the initial weights with increasing learning rates; nothing is saved.

    Args:
        plan: Network, batches, augmentation, losses and optimizer are used; the schedule is not.
        train: Training data.
        network: A custom network, whose weights are changed.
        device: ``auto``, or a PyTorch device name.
        num_steps: Number of steps from the lowest to the highest rate.
        track: Shows progress.
        say: Called with messages for the user.

    Raises:
        TrainingError: Memory runs out.
        ConfigError: The device or the plan is unsuitable.
    """
    accelerator = build_accelerator(device, precision=plan.train.precision)
    with torch.random.fork_rng(devices=[]):
        model = build_model(plan, network, say=say)
        criterion = build_criterion(plan, say=say).to(accelerator.device)
        learner = Learner(model, plan=plan, criterion=criterion, accelerator=accelerator, say=say)
        rates, losses, smoothed = [], [], Smoothed()
        with build_batches(plan, train, accelerator)(0) as batches:
            for step in track(range(1, num_steps + 1), "Testing learning rates", num_steps):
                rate = LOWEST_RATE * (HIGHEST_RATE / LOWEST_RATE) ** ((step - 1) / max(1, num_steps - 1))
                factor = rate / plan.optimizer.learning_rate
                result = learner.gradients(next(batches), step=step, factor=factor)
                rates.append(rate)
                losses.append(float(result.losses["total"]))
                smoothed.add(losses[-1])
                if smoothed.has_diverged or not bool(result.is_finite()):
                    break
                learner.apply(step=step)
    return RateTest(
        tuple(rates),
        tuple(losses),
        tuple(smoothed.values),
        planned=plan.optimizer.learning_rate,
        diverged=len(rates) < num_steps or smoothed.has_diverged,
    )


class Smoothed:
    """Bias-corrected moving average of a loss."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self._sum = 0.0

    def add(self, loss: float) -> None:
        """Add the loss of one step."""
        self._sum = MEMORY * self._sum + (1 - MEMORY) * loss
        self.values.append(self._sum / (1 - MEMORY ** (len(self.values) + 1)))

    @property
    def has_diverged(self) -> bool:
        """Whether the last value is far above the lowest, or not finite."""
        last = self.values[-1]
        return not math.isfinite(last) or last > DIVERGENCE_FACTOR * min(self.values)
