"""Training on boxes of queries: each query is matched with one object, or predicts nothing.

Shape legend: B batch, Q queries, K classes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from limner.core.batch import Batch
from limner.core.boxes import Boxes
from limner.core.labels import LabelTable
from limner.core.outputs import Outputs, QueryBoxes
from limner.core.plan import Decision, LossPlan, LossTerm
from limner.losses.box_set import BoxSetLoss
from limner.tasks.box_objective import example_of_boxes
from limner.tasks.objective import Criterion, LossValue, Objective, OptimizerDefaults, only_term, unsuitable
from limner.tasks.set_objective import SAMPLES_FOR_OBJECTS
from limner.tasks.situation import Situation

TERM = "box_set"
"""Name of the loss."""


class QueryBoxObjective(Objective):
    """Queries are matched with objects, and compared by class and box."""

    losses = frozenset({TERM})
    knows_partial_labels = True
    samples_to_learn = SAMPLES_FOR_OBJECTS
    optimizer = OptimizerDefaults(
        # The paper's rate is 2e-4 at a batch of 32.
        learning_rate=1e-4,
        weight_decay=1e-4,
        gradient_norm=0.1,
        batch_on_cpu=4,
        source="the Deformable DETR paper",
    )

    def default_loss(
        self, situation: Situation, settled: Mapping[str, Any], network_loss: Mapping[str, Any]
    ) -> Iterator[Decision]:
        """Choose the only loss, with the options of the network."""
        reason = "the network predicts a set of boxes: scores of all queries, errors of matched boxes"
        yield Decision("loss.terms", (LossTerm(name=TERM, options=dict(network_loss)),), reason)
        yield Decision("loss.class_weights", None, "every object counts the same, whatever its size")

    def criterion(self, plan: LossPlan, *, labels: LabelTable) -> "QueryBoxCriterion":
        """Build the loss.

        Raises:
            ConfigError: As `QueryBoxCriterion`.
        """
        return QueryBoxCriterion(plan, num_classes=labels.num_classes)

    def example(self, images: torch.Tensor) -> Batch:
        """Return a batch with a grid of square boxes."""
        return example_of_boxes(images)


class QueryBoxCriterion(Criterion):
    """The weighted loss of sets of boxes.

    Raises:
        ConfigError: The plan has other losses or class weights, or an option is unknown.
    """

    def __init__(self, plan: LossPlan, *, num_classes: int) -> None:
        super().__init__()
        term = only_term(plan, TERM, BoxSetLoss, networks="predict boxes of queries")
        self.num_classes = num_classes
        self.weight = term.weight
        self.set_loss = BoxSetLoss(**term.options)

    def loss(self, outputs: Outputs, batch: Batch) -> LossValue:
        """Match queries with the boxes of a batch, and compute the loss.

        Args:
            outputs: `QueryBoxes` with K class logits.
            batch: With `Boxes`.

        Raises:
            ConfigError: The network has another kind of output, or another number of classes.
        """
        if not isinstance(outputs, QueryBoxes) or outputs.class_logits.shape[2] != self.num_classes:
            needs = f"The loss {TERM!r} needs `QueryBoxes` with logits for {self.num_classes} classes"
            raise unsuitable(outputs, needs=needs)
        targets = batch.get(Boxes)
        assert targets is not None, "training needs labelled batches"
        size = (batch.images.shape[2], batch.images.shape[3])
        return LossValue.of(self.set_loss(outputs, targets, size), weight=self.weight)
