"""Training on sets of segments: each true segment is answered by one query of the network.

Shape legend: B batch, K classes, N segments, *S spatial axes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from limner.core.batch import Batch
from limner.core.config import refuse_unknown_options
from limner.core.errors import ConfigError
from limner.core.label_map import LabelMap
from limner.core.labels import ignored_among
from limner.core.outputs import DenseLogits, Outputs, QueryMasks
from limner.core.plan import Decision, LossPlan, LossTerm
from limner.core.segments import Segments, SegmentTargets
from limner.losses.segment_set import SegmentSetLoss
from limner.tasks.objective import Criterion, LossValue, Objective, OptimizerDefaults
from limner.tasks.situation import Situation

TERM = "segment_set"
"""The name of its loss."""

FEW_POINTS = 1024
"""Points on which masks are compared on a CPU: crops are small there, and the paper's 12544 cost much."""

NUM_OBJECTS = 20
"""Objects of each image whose cost is measured; the cost hardly depends on which they are."""


class SetObjective(Objective):
    """Queries are matched with segments and compared by class and mask."""

    losses = frozenset({TERM})
    optimizer = OptimizerDefaults(
        # The paper's rate is 1e-4 at a batch of 16.
        learning_rate=2e-4,
        weight_decay=0.05,
        gradient_norm=0.01,
        batch_on_cpu=4,  # a step is slow, and many steps are needed
        source="Mask2Former's paper",
    )

    def default_loss(
        self, situation: Situation, settled: Mapping[str, Any], network_loss: Mapping[str, Any]
    ) -> Iterator[Decision]:
        """Take the one loss there is, with the options of the network's paper."""
        options = {**network_loss, **({"num_points": FEW_POINTS} if situation.machine.is_cpu else {})}
        mask = "focal loss" if network_loss.get("mask_loss") == "focal" else "cross-entropy"
        reason = f"the network predicts a set of segments: class, {mask} and Dice of matched queries"
        yield Decision("loss.terms", (LossTerm(name=TERM, options=options),), reason)
        yield Decision("loss.class_weights", None, "segments count alike, whatever their size")

    def criterion(self, plan: LossPlan, *, num_classes: int) -> "SetCriterion":
        """Build the loss of sets of segments.

        Raises:
            ConfigError: As `SetCriterion`.
        """
        return SetCriterion(plan, num_classes=num_classes)

    def example(self, images: torch.Tensor) -> Batch:
        """Return images with some square objects each."""
        masks = torch.zeros(NUM_OBJECTS, *images.shape[2:], dtype=torch.bool, device=images.device)
        masks[:, :16, :16] = True
        segments = SegmentTargets(masks, torch.zeros(NUM_OBJECTS, dtype=torch.long, device=images.device))
        return Batch(images, (), {Segments: (segments,) * len(images)})


class SetCriterion(Criterion):
    """The loss of sets of segments, weighted as planned.

    Raises:
        ConfigError: The plan's losses are not those of sets of segments, or have no such option.
    """

    def __init__(self, plan: LossPlan, *, num_classes: int) -> None:
        super().__init__()
        if [term.name for term in plan.terms] != [TERM] or plan.class_weights is not None:
            raise ConfigError(
                f"A network that predicts a set of segments is trained with the loss {TERM!r} alone and "
                f"without class weights; found {', '.join(term.name for term in plan.terms)}. "
                f"Set loss.terms=[{{name: {TERM}}}] or leave it to limner."
            )
        self.num_classes = num_classes
        (term,) = plan.terms
        refuse_unknown_options(SegmentSetLoss, term.options, where=f"loss {TERM!r}")
        self.weight = term.weight
        self.set_loss = SegmentSetLoss(**term.options)

    def loss(self, outputs: Outputs, batch: Batch) -> LossValue:
        """Match queries with the segments of a batch and compare them.

        Args:
            outputs: `QueryMasks`: class logits (B, Q, K + 1) and the masks' factors, with those of earlier
                layers.
            batch: With `Segments`, or with a `LabelMap` (B, *S), of which each class is one segment.

        Raises:
            ConfigError: The network gives another kind of output, or another number of classes.
        """
        if not isinstance(outputs, QueryMasks) or outputs.class_logits.shape[-1] != self.num_classes + 1:
            raise ConfigError(
                f"This task needs queries that score {self.num_classes} classes and no object; the network "
                f"gives {type(outputs).__name__}{_shape_of(outputs)}."
            )
        segments = batch.get(Segments)
        if segments is None:
            label_maps = batch.get(LabelMap)
            assert label_maps is not None, "training needs labelled batches"
            segments = tuple(regions_of(labels, self.num_classes) for labels in label_maps)
        parts = {name: self.weight * part for name, part in self.set_loss(outputs, segments).items()}
        total = sum(parts.values(), start=outputs.class_logits.new_zeros(()))
        return LossValue(total, {name: value.detach() for name, value in parts.items()})


def regions_of(labels: torch.Tensor, num_classes: int) -> SegmentTargets:
    """Return each class that a label map holds as one segment; ignored pixels are in none.

    Args:
        labels: (*S) 0..K-1, or what is `ignored_among` K classes.
        num_classes: K.
    """
    counts = torch.bincount(labels.flatten().long(), minlength=num_classes)[: ignored_among(num_classes)]
    present = counts.nonzero().flatten()
    masks = labels == present.view(-1, *[1] * labels.ndim)
    return SegmentTargets(masks, present)


def _shape_of(outputs: Outputs) -> str:
    if isinstance(outputs, QueryMasks):
        return f" of shape {tuple(outputs.class_logits.shape)}"
    return f" of shape {tuple(outputs.logits.shape)}" if isinstance(outputs, DenseLogits) else ""
