"""Results of the steps since the last logged one, read from the device only when logged."""

from dataclasses import dataclass

import torch

from limner.training.step import StepResult


@dataclass(frozen=True)
class BadStep:
    """A step whose loss or gradient is not finite.

    Attributes:
        step: Number of the step, counted from 1.
        losses: Name -> value.
        gradient_norm: Norm of the whole gradient.
        learning_rate: Learning rate of the step.
    """

    step: int
    losses: dict[str, float]
    gradient_norm: float
    learning_rate: float


class StepLog:
    """Collects the values of steps; their means are written to metrics.csv.

    Reading a value from an accelerator waits for it, so tensors are kept until `read_pending`.

    Args:
        values: Name -> values of steps that were already read, from a checkpoint.
        check_gradient: Whether an infinite gradient is an error; with float16 the gradient scaler
            expects some and skips those steps.
    """

    def __init__(self, values: dict[str, list[float]] | None = None, *, check_gradient: bool = True) -> None:
        self.values = {name: list(numbers) for name, numbers in (values or {}).items()}
        self._check_gradient = check_gradient
        self._pending: list[tuple[int, float, StepResult]] = []

    def add(self, step: int, result: StepResult, *, learning_rate: float) -> None:
        """Add the result of step number `step`."""
        self._pending.append((step, learning_rate, result))

    def add_times(self, *, data_seconds: float, step_seconds: float) -> None:
        """Add the time of the step, and the part of it spent waiting for its batch."""
        self.values.setdefault("train/data_seconds", []).append(data_seconds)
        self.values.setdefault("train/step_seconds", []).append(step_seconds)

    def read_pending(self) -> BadStep | None:
        """Read the pending values, and return the first step that is not finite, if there is one."""
        pending, self._pending = self._pending, []
        for step, learning_rate, result in pending:
            names = list(result.losses)
            numbers = torch.stack(
                [result.losses[n].float() for n in names] + [result.gradient_norm.float()]
            ).tolist()
            losses, norm = dict(zip(names, numbers[:-1], strict=True)), numbers[-1]
            checked = losses["total"] + (norm if self._check_gradient else 0.0)
            if checked - checked != 0:  # NaN, or infinite
                return BadStep(step, losses, norm, learning_rate)
            for name, value in losses.items():
                shown = "train/loss" if name == "total" else f"train/loss/{name}"
                self.values.setdefault(shown, []).append(value)
            self.values.setdefault("train/gradient_norm", []).append(norm)
            self.values.setdefault("train/learning_rate", []).append(learning_rate)
        return None

    def take_means(self) -> dict[str, float]:
        """Return the mean of each value since the last call (the last learning rate), and reset."""
        values, self.values = self.values, {}
        means = {name: sum(numbers) / len(numbers) for name, numbers in values.items()}
        if "train/learning_rate" in values:
            means["train/learning_rate"] = values["train/learning_rate"][-1]
        return means
