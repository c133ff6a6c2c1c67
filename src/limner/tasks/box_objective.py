"""Training on boxes: each point predicts the class and the box of the object that it is in.

Shape legend: B batch, P points, K classes, N boxes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from limner.core.batch import Batch
from limner.core.boxes import Boxes, BoxTargets
from limner.core.labels import LabelTable
from limner.core.outputs import Outputs, PointBoxes
from limner.core.plan import Decision, LossPlan, LossTerm
from limner.losses.point_boxes import PointBoxLoss
from limner.tasks.objective import Criterion, LossValue, Objective, OptimizerDefaults, only_term, unsuitable
from limner.tasks.situation import Situation

TERM = "point_boxes"
"""Name of the loss."""

SIDE, STEP = 16, 24
"""Side and distance in pixels of the boxes in cost measurements: small and many, as cells are."""


class BoxObjective(Objective):
    """Points learn the class and the box of an object; which points, depends on what they predict."""

    losses = frozenset({TERM})
    knows_partial_labels = True
    # Blood cells, 240 steps with crops of about 60,000 pixels: a box AP of 0.344 with the objects of the
    # smallest class 18 pixels wide, 0.368 with 28.
    least_diameter = 28.0
    optimizer = OptimizerDefaults(
        learning_rate=5e-4,
        weight_decay=0.05,
        gradient_norm=10.0,
        batch_on_cpu=8,
        source="the RTMDet paper",
        # Blood cells, 240 steps: see docs/detection.md.
        rate_from_scratch=3e-3,
    )

    def default_loss(
        self, situation: Situation, settled: Mapping[str, Any], network_loss: Mapping[str, Any]
    ) -> Iterator[Decision]:
        """Choose the only loss, with the options of the network."""
        reason = "each point predicts the class and the box of the object that it is in"
        yield Decision("loss.terms", (LossTerm(name=TERM, options=dict(network_loss)),), reason)
        yield Decision("loss.class_weights", None, "the loss weights hard points instead")

    def criterion(self, plan: LossPlan, *, labels: LabelTable) -> "BoxCriterion":
        """Build the loss.

        Raises:
            ConfigError: As `BoxCriterion`.
        """
        return BoxCriterion(plan, num_classes=labels.num_classes)

    def example(self, images: torch.Tensor) -> Batch:
        """Return a batch with a grid of square boxes."""
        return example_of_boxes(images)


def example_of_boxes(images: torch.Tensor) -> Batch:
    """Return a batch with a grid of square boxes on images (B, C, H, W)."""
    rows, columns = (torch.arange(0, length, STEP, device=images.device) for length in images.shape[2:])
    top, left = torch.meshgrid(rows.float(), columns.float(), indexing="ij")
    corner = torch.stack((left.flatten(), top.flatten()), 1)
    xyxy = torch.cat((corner, corner + SIDE), 1)
    labels = torch.zeros(len(xyxy), dtype=torch.long, device=images.device)
    return Batch(images, (), {Boxes: (BoxTargets(xyxy, labels, labels > 0),) * len(images)})


class BoxCriterion(Criterion):
    """The weighted loss of boxes at points.

    Raises:
        ConfigError: The plan has other losses or class weights, or an option is unknown.
    """

    def __init__(self, plan: LossPlan, *, num_classes: int) -> None:
        super().__init__()
        term = only_term(plan, TERM, PointBoxLoss, networks="predict boxes")
        self.num_classes = num_classes
        self.weight = term.weight
        self.box_loss = PointBoxLoss(**term.options)

    def loss(self, outputs: Outputs, batch: Batch) -> LossValue:
        """Compute the loss.

        Args:
            outputs: `PointBoxes` with K class logits.
            batch: With `Boxes`.

        Raises:
            ConfigError: The network has another kind of output, or another number of classes.
        """
        if not isinstance(outputs, PointBoxes) or outputs.class_logits.shape[2] != self.num_classes:
            needs = f"The loss {TERM!r} needs `PointBoxes` with logits for {self.num_classes} classes"
            raise unsuitable(outputs, needs=needs)
        targets = batch.get(Boxes)
        assert targets is not None, "training needs labelled batches"
        return LossValue.of(self.box_loss(outputs, targets), weight=self.weight)
