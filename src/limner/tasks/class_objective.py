"""Training on classes of whole images: a logit for each class.

Shape legend: B batch, K classes, C channels, *S spatial axes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from limner.core.batch import Batch
from limner.core.errors import ConfigError
from limner.core.image_class import ClassShares, ImageClass
from limner.core.labels import LabelTable
from limner.core.outputs import ClassLogits, Outputs
from limner.core.plan import Decision, LossPlan, LossTerm
from limner.core.wording import share, times
from limner.losses import CLASS_DISTILLATIONS, CLASS_LOSSES, TAG_LOSSES, build_loss
from limner.tasks.objective import Criterion, LossValue, Objective
from limner.tasks.situation import Situation
from limner.tasks.teacher import Distillation, distilling

NOTABLE_IMBALANCE = 5
"""Ratio of the most common to the rarest class from which the plan says how to balance them."""


class ClassObjective(Objective):
    """Losses of `CLASS_LOSSES` and `CLASS_DISTILLATIONS` (with a teacher), on images with one class each."""

    losses = frozenset(CLASS_LOSSES) | frozenset(CLASS_DISTILLATIONS)
    # The temperature of most published comparisons, as in Tian et al., ICLR 2020 (arXiv:1910.10699).
    distillation = LossTerm(name="distill_soft", options={"temperature": 4.0})

    def default_loss(
        self, situation: Situation, settled: Mapping[str, Any], network_loss: Mapping[str, Any]
    ) -> Iterator[Decision]:
        """Choose cross-entropy, without class weights."""
        yield Decision("loss.terms", (LossTerm(name="cross_entropy"),), "each image has one class")
        yield Decision("loss.class_weights", None, _balance_words(situation.class_shares))

    def criterion(self, plan: LossPlan, *, labels: LabelTable) -> "ClassCriterion":
        """Build the losses of a plan.

        Raises:
            ConfigError: A loss has no such option.
        """
        return ClassCriterion(plan, CLASS_LOSSES, num_classes=labels.num_classes)

    def example(self, images: Tensor) -> Batch:
        """Return a batch of class 0."""
        return Batch(images, (), {ImageClass: torch.zeros(len(images), dtype=torch.int64).to(images.device)})


class TagObjective(Objective):
    """Losses of `TAG_LOSSES`, on images with any number of classes."""

    losses = frozenset(TAG_LOSSES)

    def default_loss(
        self, situation: Situation, settled: Mapping[str, Any], network_loss: Mapping[str, Any]
    ) -> Iterator[Decision]:
        """Choose binary cross-entropy, without class weights."""
        yield Decision("loss.terms", (LossTerm(name="binary_cross_entropy"),), "an image has several classes")
        yield Decision("loss.class_weights", None, _balance_words(situation.class_shares))

    def criterion(self, plan: LossPlan, *, labels: LabelTable) -> "ClassCriterion":
        """Build the losses of a plan.

        Raises:
            ConfigError: A loss has no such option.
        """
        return ClassCriterion(plan, TAG_LOSSES, num_classes=labels.num_classes)

    def example(self, images: Tensor) -> Batch:
        """Return a batch of class 0."""
        return Batch(images, (), {ImageClass: torch.zeros(len(images), dtype=torch.int64).to(images.device)})


class ClassCriterion(Criterion):
    """The weighted losses of a plan.

    Raises:
        ConfigError: A loss has no such option.
    """

    def __init__(self, plan: LossPlan, table: Mapping[str, type[nn.Module]], *, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        taught = distilling(plan.terms)
        terms = [term for term in plan.terms if term not in taught]
        self.names = tuple(term.name for term in terms)
        self.weights = tuple(term.weight for term in terms)
        self.losses = nn.ModuleList(
            build_loss(term, class_weights=plan.class_weights, losses=table) for term in terms
        )
        self.distillation = Distillation(taught) if taught else None

    def loss(self, outputs: Outputs, batch: Batch) -> LossValue:
        """Compute the losses.

        Args:
            outputs: `ClassLogits` (B, K).
            batch: With an `ImageClass` (B,) or `ClassShares` (B, K) on the same device.

        Raises:
            ConfigError: The network's number of classes differs from that of the data, or its outputs are of
                another kind.
        """
        if not isinstance(outputs, ClassLogits):
            raise ConfigError(
                f"Classes of whole images need a network that returns ClassLogits; found "
                f"{type(outputs).__name__}."
            )
        if outputs.logits.shape[1] != self.num_classes:
            raise ConfigError(
                f"The network has {outputs.logits.shape[1]} output classes, but the data has "
                f"{self.num_classes}; build it with num_classes={self.num_classes}."
            )
        shares, classes = batch.get(ClassShares), batch.get(ImageClass)
        target = classes if shares is None else shares
        assert target is not None, "classification trains on batches with classes"
        parts = {
            name: weight * loss(outputs.logits, target)
            for name, weight, loss in zip(self.names, self.weights, self.losses, strict=True)
        }
        if self.distillation is not None:
            all_images = torch.ones(len(target), dtype=torch.bool, device=target.device)
            parts |= self.distillation(outputs.logits, batch.images, all_images)
        total = sum(parts.values(), start=outputs.logits.new_zeros(()))
        return LossValue(total, {name: value.detach() for name, value in parts.items()})


def _balance_words(shares: tuple[tuple[str, float], ...]) -> str:
    present = [(part, name) for name, part in shares if part > 0]
    if len(present) < 2:
        return "only one class occurs"
    (smallest, rare), (largest, common) = min(present), max(present)
    said = f"{rare} is {share(smallest)} of the labels, {common} {times(largest / smallest)} as much"
    if largest < NOTABLE_IMBALANCE * smallest:
        return f"not needed: {said}"
    return f"{said}; if rare classes count as much, set train.balanced=true"
