"""The learning-rate range test (Smith, 2017): one short run in which the rate grows from step to step."""

import math
from collections.abc import Callable

import torch
from torch import nn

from limner.core.plan import Plan
from limner.core.progress import Track, silent
from limner.core.tuning import RateTest
from limner.loading.dataset import Dataset
from limner.tasks import find_task
from limner.training.accelerator import build_accelerator
from limner.training.fit import build_batches, build_model
from limner.training.learner import Learner

LOWEST_RATE, HIGHEST_RATE = 1e-7, 10.0
"""Where the rate begins and ends, whatever the optimizer."""

NUM_STEPS = 100
"""Steps between them: twelve to a factor of ten."""

MEMORY = 0.9
"""Weight of the past in the moving average of the loss."""

RAN_AWAY = 3.0
"""The test ends where the averaged loss is so many times its lowest."""


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
    """Train from the first weights with ever larger rates; nothing is kept.

    Args:
        plan: Its network, batches, augmentation, losses and optimizer; its schedule plays no part.
        train: What is learned from.
        network: A network of the caller's own, whose weights are changed.
        device: ``auto``, or a device as PyTorch names it.
        num_steps: Steps from the lowest rate to the highest.
        track: Shows progress.
        say: Takes a message for the user.

    Raises:
        TrainingError: Memory runs out.
        ConfigError: The device or the plan does not fit.
    """
    accelerator = build_accelerator(device, precision=plan.train.precision)
    with torch.random.fork_rng(devices=[]):
        model = build_model(plan, network, say=say)
        criterion = find_task(plan.task).criterion(plan).to(accelerator.device)
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
                if smoothed.ran_away or not bool(result.is_finite()):
                    break
                learner.apply(step=step)
    return RateTest(
        tuple(rates),
        tuple(losses),
        tuple(smoothed.values),
        planned=plan.optimizer.learning_rate,
        diverged=len(rates) < num_steps or smoothed.ran_away,
    )


class Smoothed:
    """The moving average of a loss, corrected for its start."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self._sum = 0.0

    def add(self, loss: float) -> None:
        """Take in the loss of one step."""
        self._sum = MEMORY * self._sum + (1 - MEMORY) * loss
        self.values.append(self._sum / (1 - MEMORY ** (len(self.values) + 1)))

    @property
    def ran_away(self) -> bool:
        """Whether the last value is far above the lowest, or no number."""
        last = self.values[-1]
        return not math.isfinite(last) or last > RAN_AWAY * min(self.values)
