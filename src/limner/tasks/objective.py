"""Objectives: how a network is trained for a task; a task has one for each output kind it accepts."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import nn

from limner.core.batch import Batch
from limner.core.config import refuse_unknown_options
from limner.core.errors import ConfigError
from limner.core.labels import LabelTable
from limner.core.outputs import Outputs
from limner.core.plan import Decision, LossPlan, LossTerm
from limner.tasks.situation import Situation
from limner.tasks.teacher import Distillation, QueryDistillation


@dataclass(frozen=True)
class LossValue:
    """The loss of one batch.

    Attributes:
        total: Scalar with gradient, to minimise.
        parts: Name -> detached scalar, for logging.
    """

    total: torch.Tensor
    parts: dict[str, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, parts: Mapping[str, torch.Tensor], *, weight: float) -> "LossValue":
        """Return the weighted sum of the parts, at least one, of a loss."""
        weighted = {name: weight * part for name, part in parts.items()}
        first = next(iter(weighted.values()))
        total = sum(weighted.values(), start=first.new_zeros(()))
        return cls(total, {name: value.detach() for name, value in weighted.items()})


class Criterion(nn.Module, ABC):
    """The losses of a run; a plain module for use in any training loop.

    Attributes:
        distillation: The terms that need a teacher, which is set before training; None without such terms.
    """

    def __init__(self) -> None:
        super().__init__()
        self.distillation: Distillation | QueryDistillation | None = None

    @abstractmethod
    def loss(self, outputs: Outputs, batch: Batch) -> LossValue:
        """Compute the loss of a batch.

        Args:
            outputs: Network outputs of a kind that the task accepts.
            batch: Labelled batch on the same device.

        Raises:
            ConfigError: The outputs are of another kind, or have another number of classes.
        """


@dataclass(frozen=True)
class OptimizerDefaults:
    """Default optimizer settings of an objective.

    Attributes:
        learning_rate: For AdamW with a batch size of 8.
        weight_decay: For AdamW.
        gradient_norm: Maximum norm of the whole gradient.
        batch_on_cpu: Maximum batch size on a CPU.
        source: Source of weight decay and norm, for the reason in the plan.
        rate_from_scratch: Learning rate without any pretrained weights, or None for the same.
    """

    learning_rate: float
    weight_decay: float
    gradient_norm: float
    batch_on_cpu: int
    source: str
    rate_from_scratch: float | None = None

    def rate(self, *, from_scratch: bool) -> float:
        """Return the learning rate for a batch size of 8."""
        return self.rate_from_scratch if from_scratch and self.rate_from_scratch else self.learning_rate


class Objective(ABC):
    """How networks of one output kind are trained for a task."""

    losses: ClassVar[frozenset[str]]
    """Names of its losses."""
    optimizer: ClassVar[OptimizerDefaults | None] = None
    """Settings from its paper, or None for the usual ones."""
    distillation: ClassVar[LossTerm | None] = None
    """Default term for learning from a teacher, or None if its networks cannot."""
    samples_to_learn: int | None = None
    """Number of training samples that its networks need without initial weights, or None if few do."""
    diameters_across: ClassVar[float | None] = None
    """Side of a 2D crop in diameters of an object, on a CPU in a time budget, where many steps count
    more than the size of a crop; None uses all that is allowed."""
    knows_partial_labels: ClassVar[bool] = False
    """Whether its losses do not take objects for background that are not drawn, of classes for which an image
    was not searched."""
    least_diameter: ClassVar[float | None] = None
    """Diameter in pixels to which the objects of the smallest class may be reduced, on a CPU in a time
    budget; None trains at the images' own scale."""
    most_diameter: ClassVar[float | None] = None
    """Diameter to which the objects of the largest class are reduced then; None reduces images until crops
    show all of them."""

    @abstractmethod
    def default_loss(
        self, situation: Situation, settled: Mapping[str, Any], network_loss: Mapping[str, Any]
    ) -> Iterator[Decision]:
        """Decide ``loss.terms`` and ``loss.class_weights``.

        Args:
            situation: Data and machine.
            settled: Values so far, by dotted key.
            network_loss: Options of the loss from the network's paper.
        """

    @abstractmethod
    def criterion(self, plan: LossPlan, *, labels: LabelTable) -> Criterion:
        """Build the losses.

        Raises:
            ConfigError: The losses cannot be combined, or an option is unknown.
        """

    @abstractmethod
    def example(self, images: torch.Tensor) -> Batch:
        """Return a batch with a typical number of targets, to measure the cost of training.

        Args:
            images: (B, C, *S).
        """


def only_term(plan: LossPlan, name: str, loss: type[nn.Module], *, networks: str) -> LossTerm:
    """Return the term of a plan for networks that have one loss.

    Args:
        plan: The losses.
        name: Name of the only loss.
        loss: Its class, which has the options.
        networks: Which networks, to follow "Networks that".

    Raises:
        ConfigError: The plan has other losses or class weights, or an option is unknown.
    """
    if [term.name for term in plan.terms] != [name] or plan.class_weights is not None:
        raise ConfigError(
            f"Networks that {networks} are trained with the loss {name!r} only, without class weights; found "
            f"{', '.join(term.name for term in plan.terms)}. Set loss.terms=[{{name: {name}}}], or "
            "loss.terms=auto."
        )
    (term,) = plan.terms
    refuse_unknown_options(loss, term.options, where=f"loss {name!r}")
    return term


def unsuitable(outputs: Outputs, *, needs: str, fix: str = "") -> ConfigError:
    """Return the error of a network whose outputs a loss cannot use.

    Args:
        outputs: What the network returned.
        needs: What is needed, as the first half of a sentence.
        fix: A further sentence.
    """
    found = outputs.tensors()
    logits = found.get("class_logits", found.get("logits"))
    of_shape = "" if logits is None else f" of shape {tuple(logits.shape)}"
    said = f"{needs}; the network returns {type(outputs).__name__}{of_shape}."
    return ConfigError(f"{said} {fix}" if fix else said)
