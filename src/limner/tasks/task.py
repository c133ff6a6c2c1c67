"""What every task is: the output kinds it accepts, and their loss."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from limner.core.batch import Batch
from limner.core.outputs import OutputKind, Outputs
from limner.core.targets import Target


@dataclass(frozen=True)
class LossValue:
    """The loss of one batch.

    Attributes:
        total: Scalar with gradient, what is minimised.
        parts: Name -> detached scalar, for the log.
    """

    total: torch.Tensor
    parts: dict[str, torch.Tensor] = field(default_factory=dict)


class Task(Protocol):
    """One row of `TASKS`; framework-free, so that any loop can use it."""

    targets: tuple[type[Target[Any]], ...]
    """The kinds of target it is trained on and scored against."""
    accepts: tuple[OutputKind, ...]
    """The output kinds it can be trained on."""

    def loss(self, outputs: Outputs, batch: Batch) -> LossValue:
        """Compare the outputs of a batch with its targets.

        Args:
            outputs: Of one of the kinds that it accepts.
            batch: Labelled, on the same device.
        """
        ...
