"""Training on class, centre and offset at each pixel.

Shape legend: B batch, K classes, N segments, *S spatial axes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from limner.core.batch import Batch
from limner.core.labels import LabelTable
from limner.core.outputs import CentreOffsets, Outputs
from limner.core.plan import Decision, LossPlan, LossTerm
from limner.core.segments import Segments, SegmentTargets
from limner.losses.centre_offset import CentreOffsetLoss
from limner.tasks.objective import Criterion, LossValue, Objective, only_term, unsuitable
from limner.tasks.situation import Situation

TERM = "centre_offset"
"""Name of the loss."""

MOST_DICE_CLASSES = 80
"""Maximum number of classes for which Dice is added: it keeps the probability of each class at each pixel."""

SIDE, STEP = 16, 24
"""Side and distance in pixels of the objects in cost measurements: small and many, as cells are."""


class CentreObjective(Objective):
    """Pixels learn their class, the centres of objects, and the way to the centre of their own."""

    losses = frozenset({TERM})
    diameters_across = 6.0
    least_diameter = 16.0
    most_diameter = 64.0

    def default_loss(
        self, situation: Situation, settled: Mapping[str, Any], network_loss: Mapping[str, Any]
    ) -> Iterator[Decision]:
        """Choose the only loss, with the options of the network."""
        reason = (
            "each pixel predicts its class, the centres of objects and the offset to its own centre, so it "
            "belongs to one object: where objects overlap, only the topmost or smallest is learned"
        )
        options = dict(network_loss)
        if situation.labels.num_classes > MOST_DICE_CLASSES:
            options.pop("dice_weight", None)
        yield Decision("loss.terms", (LossTerm(name=TERM, options=options),), reason)
        yield Decision("loss.class_weights", None, "the loss weights hard pixels or small objects instead")

    def criterion(self, plan: LossPlan, *, labels: LabelTable) -> "CentreCriterion":
        """Build the loss.

        Raises:
            ConfigError: As `CentreCriterion`.
        """
        return CentreCriterion(plan, labels=labels)

    def example(self, images: torch.Tensor) -> Batch:
        """Return a batch with a grid of square objects."""
        size = images.shape[2:]
        inside = torch.ones(size, dtype=torch.bool, device=images.device)
        number = torch.zeros(size, dtype=torch.int32, device=images.device)
        for axis, length in enumerate(size):
            along = torch.arange(length, device=images.device).view(-1, *[1] * (len(size) - axis - 1))
            inside &= along % STEP < SIDE
            number = number * -(-length // STEP) + (along // STEP).int()
        top = torch.where(inside, number + 1, 0)
        labels = torch.zeros(int(top.max()), dtype=torch.long, device=images.device)
        segments = SegmentTargets(top.new_zeros((0, *size), dtype=torch.bool), labels, top)
        return Batch(images, (), {Segments: (segments,) * len(images)})


class CentreCriterion(Criterion):
    """The weighted loss of class, centre and offset.

    Raises:
        ConfigError: The plan has other losses or class weights, or an option is unknown.
    """

    is_thing: torch.Tensor

    def __init__(self, plan: LossPlan, *, labels: LabelTable) -> None:
        super().__init__()
        term = only_term(plan, TERM, CentreOffsetLoss, networks="predict centres and offsets")
        self.weight = term.weight
        self.centre_loss = CentreOffsetLoss(**term.options)
        self.register_buffer("is_thing", torch.from_numpy(labels.is_thing.copy()), persistent=False)

    def loss(self, outputs: Outputs, batch: Batch) -> LossValue:
        """Compute the loss at the resolution of the segments.

        Args:
            outputs: `CentreOffsets` with K + 1 class logits, at any resolution.
            batch: With `Segments`.

        Raises:
            ConfigError: The network has another kind of output, or another number of classes.
        """
        num_classes = len(self.is_thing)
        if not isinstance(outputs, CentreOffsets) or outputs.class_logits.shape[1] != num_classes + 1:
            raise unsuitable(
                outputs,
                needs=f"The loss {TERM!r} needs `CentreOffsets` with logits for {num_classes} classes and "
                "'nothing'",
                fix="For a custom module with queries, set network.name=mask2former in the plan.",
            )
        segments = batch.get(Segments)
        assert segments is not None, "training needs labelled batches"
        return LossValue.of(self.centre_loss(outputs, segments, self.is_thing), weight=self.weight)
