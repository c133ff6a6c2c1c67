"""How a network is trained for a task: one objective for each output kind that the task accepts."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import nn

from limner.core.batch import Batch
from limner.core.outputs import Outputs
from limner.core.plan import Decision, LossPlan
from limner.tasks.situation import Situation


@dataclass(frozen=True)
class LossValue:
    """The loss of one batch.

    Attributes:
        total: Scalar with gradient, what is minimised.
        parts: Name -> detached scalar, for the log.
    """

    total: torch.Tensor
    parts: dict[str, torch.Tensor] = field(default_factory=dict)


class Criterion(nn.Module, ABC):
    """The losses of a run; framework-free, so that any loop can use it."""

    @abstractmethod
    def loss(self, outputs: Outputs, batch: Batch) -> LossValue:
        """Compare the outputs of a batch with its targets.

        Args:
            outputs: Of one of the kinds that the task accepts.
            batch: Labelled, on the same device.

        Raises:
            ConfigError: The outputs are of another kind, or score another number of classes.
        """


@dataclass(frozen=True)
class OptimizerDefaults:
    """Settings of the optimizer that go with an objective.

    Attributes:
        learning_rate: For AdamW at a batch of 8.
        weight_decay: For AdamW.
        gradient_norm: Largest norm of the whole gradient.
        batch_on_cpu: Samples of a step on a CPU, at most.
        source: Where decay and norm are from, for the reason.
    """

    learning_rate: float
    weight_decay: float
    gradient_norm: float
    batch_on_cpu: int
    source: str


class Objective(ABC):
    """How networks of one output kind are trained for a task."""

    losses: ClassVar[frozenset[str]]
    """Names of the losses it can minimise."""
    optimizer: ClassVar[OptimizerDefaults | None] = None
    """What its paper found, or None for the usual settings."""

    @abstractmethod
    def default_loss(
        self, situation: Situation, settled: Mapping[str, Any], network_loss: Mapping[str, Any]
    ) -> Iterator[Decision]:
        """Decide ``loss.terms`` and ``loss.class_weights``.

        Args:
            situation: Classes and machine.
            settled: What is decided so far, by dotted key.
            network_loss: Options of the loss that the network's paper asks for.
        """

    @abstractmethod
    def criterion(self, plan: LossPlan, *, num_classes: int) -> Criterion:
        """Build the losses.

        Raises:
            ConfigError: The losses do not go together, or have no such option.
        """

    @abstractmethod
    def example(self, images: torch.Tensor) -> Batch:
        """Return images with targets of the usual number, to measure what training costs.

        Args:
            images: (B, C, *S).
        """
