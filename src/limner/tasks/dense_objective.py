"""Training on label maps: logits for each class at each pixel.

Shape legend: B batch, K classes, *S spatial axes of the target, *s spatial axes of the network's output.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from limner.core.batch import Batch
from limner.core.errors import ConfigError
from limner.core.label_map import LabelMap
from limner.core.labels import LabelTable, ignored_among
from limner.core.outputs import DenseLogits, Outputs, resize_logits
from limner.core.plan import Decision, LossPlan, LossTerm
from limner.core.wording import element, share, times
from limner.losses import DISTILLATIONS, FEATURE_DISTILLATIONS, LOSSES, build_loss
from limner.tasks.objective import Criterion, LossValue, Objective
from limner.tasks.set_objective import TERM as SET_TERM
from limner.tasks.situation import Situation
from limner.tasks.teacher import Distillation, distilling

FEW_CLASSES = 8
"""Maximum number of classes for which Dice is always added: it is cheap, and helps thin and small ones."""

IMBALANCED = 20
"""Pixel ratio of the most common to the rarest class from which Dice is added for any number of classes."""

STRONGLY_IMBALANCED = 50
"""The same ratio from which losses without an overlap term need class weights."""

OVERLAP_LOSSES = ("dice", "tversky", "lovasz")
"""Losses that weight all classes equally."""

HEAVIEST = 10.0
"""Maximum class weight: beyond it, the few pixels of a rare class make gradients noisy."""


class DenseObjective(Objective):
    """Losses of `LOSSES` and, with a teacher, of `DISTILLATIONS`, on the logits of each pixel."""

    losses = frozenset(LOSSES) | frozenset(DISTILLATIONS) | frozenset(FEATURE_DISTILLATIONS)
    # The weight in mmrazor's recipe, for logits at temperature 1; the authors' repository has 3.
    distillation = LossTerm(name="distill_cwd", weight=5.0)

    def default_loss(
        self, situation: Situation, settled: Mapping[str, Any], network_loss: Mapping[str, Any]
    ) -> Iterator[Decision]:
        """Choose cross-entropy, with Dice if there are few classes or they are imbalanced."""
        num_classes = situation.labels.num_classes
        both: tuple[LossTerm, ...] = (LossTerm(name="cross_entropy"), LossTerm(name="dice"))
        said = _imbalance_words(situation)
        if num_classes == 1:
            terms, reason = both[:1], "there is a single class, so there is nothing to tell apart"
        elif num_classes <= FEW_CLASSES:
            terms, reason = both, f"Dice helps with up to {FEW_CLASSES} classes; {said}"
        elif situation.imbalance >= IMBALANCED:
            terms, reason = both, f"Dice weights rare classes as much as common ones: {said}"
        else:
            terms = both[:1]
            reason = (
                f"cross-entropy alone is enough for {num_classes} classes without a very rare one; {said}"
            )
        yield Decision("loss.terms", terms, reason)
        yield self._class_weights(situation, settled["loss.terms"])

    def _class_weights(self, situation: Situation, terms: tuple[LossTerm, ...]) -> Decision:
        """Weight the classes only if they are strongly imbalanced and no loss compensates for it."""
        said = _imbalance_words(situation)
        if situation.imbalance < STRONGLY_IMBALANCED:
            return Decision("loss.class_weights", None, f"not needed: {said}")
        if any(term.name in OVERLAP_LOSSES for term in terms):
            reason = "not needed: the overlap loss compensates for rare classes"
            return Decision("loss.class_weights", None, reason)
        reason = f"{said}, and no overlap loss compensates for it"
        return Decision("loss.class_weights", _weights([part for _, part in situation.class_shares]), reason)

    def criterion(self, plan: LossPlan, *, labels: LabelTable) -> "DenseCriterion":
        """Build the losses of a plan.

        Raises:
            ConfigError: A loss has no such option.
        """
        return DenseCriterion(plan, num_classes=labels.num_classes)

    def example(self, images: Tensor) -> Batch:
        """Return a batch whose labels are all class 0."""
        target = torch.zeros(images.shape[0], *images.shape[2:], dtype=torch.uint8)
        return Batch(images, (), {LabelMap: target.to(images.device)})


class DenseCriterion(Criterion):
    """The weighted losses of a plan, on the main logits and on those of each auxiliary head.

    Raises:
        ConfigError: A loss has no such option.
    """

    def __init__(self, plan: LossPlan, *, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        taught = distilling(plan.terms)
        self.distillation = Distillation(taught) if taught else None
        terms = [term for term in plan.terms if term not in taught]
        self.names = tuple(term.name for term in terms)
        self.weights = tuple(term.weight for term in terms)
        self.losses = nn.ModuleList(build_loss(t, class_weights=plan.class_weights) for t in terms)

    def loss(self, outputs: Outputs, batch: Batch) -> LossValue:
        """Compute the losses at the labels' resolution.

        Args:
            outputs: `DenseLogits` (B, K, *s), with those of the auxiliary heads.
            batch: With a `LabelMap` (B, *S) on the same device.

        Raises:
            ConfigError: The network's number of classes differs from that of the data, or its outputs are of
                another kind.
        """
        if not isinstance(outputs, DenseLogits):
            raise ConfigError(
                f"Networks with queries need the loss {SET_TERM!r}; found {', '.join(self.names)}. "
                "For a custom module with queries, set network.name=mask2former in the plan."
            )
        if outputs.logits.shape[1] != self.num_classes:
            raise ConfigError(
                f"The network has {outputs.logits.shape[1]} output classes, but the data has "
                f"{self.num_classes}; build it with num_classes={self.num_classes}."
            )
        labels = batch.get(LabelMap)
        assert labels is not None, "semantic segmentation trains on labelled batches"
        parts = {name: outputs.weight * value for name, value in self._terms(outputs.logits, labels).items()}
        if self.distillation is not None:
            counted = labels != ignored_among(self.num_classes)
            parts |= self.distillation(outputs.logits, batch.images, counted)
        total = sum(parts.values(), start=outputs.logits.new_zeros(()))
        for position, side in enumerate(outputs.auxiliary):
            terms = self._terms(side.logits, labels)
            parts[f"auxiliary_{position}"] = side.weight * sum(terms.values(), start=total.new_zeros(()))
            total = total + parts[f"auxiliary_{position}"]
        return LossValue(total, {name: value.detach() for name, value in parts.items()})

    def _terms(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        # A softmax over classes is fastest on contiguous logits: channels-last takes 1.7 times as long on a
        # CPU (19 classes, 512x512).
        full = resize_logits(logits.contiguous(), target.shape[1:])
        return {
            name: weight * loss(full, target)
            for name, weight, loss in zip(self.names, self.weights, self.losses, strict=True)
        }


def _weights(shares: list[float]) -> tuple[float, ...]:
    """Return the inverse square root of each class's share, normalised to mean 1, then capped."""
    present = [s**-0.5 for s in shares if s > 0]
    mean = sum(present) / len(present)
    return tuple(round(min(s**-0.5 / mean, HEAVIEST), 3) if s > 0 else 1.0 for s in shares)


def _imbalance_words(situation: Situation) -> str:
    present = [(name, part) for name, part in situation.class_shares if part > 0]
    if len(present) < 2:
        return "only one class occurs"
    (rare, smallest), (common, largest) = min(present, key=_part), max(present, key=_part)
    of_what = f"of the {element(situation.spatial_dims)}s"
    return f"{rare} is {share(smallest)} {of_what}, {common} {times(largest / smallest)} as much"


def _part(row: tuple[str, float]) -> float:
    return row[1]
