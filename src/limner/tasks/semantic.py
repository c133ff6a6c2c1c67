"""Semantic segmentation: every pixel has one class.

Shape legend: B batch, K classes, *S spatial axes of the target, *s those of the network's output.
"""

from typing import Any

from torch import Tensor, nn

from limner.core.batch import Batch
from limner.core.errors import ConfigError
from limner.core.label_map import LabelMap
from limner.core.outputs import DenseLogits, OutputKind, Outputs, QueryMasks, resize_logits
from limner.core.plan import LossPlan, Plan
from limner.core.targets import Target
from limner.losses import build_loss
from limner.tasks.segment_set import TERM, SegmentSetTask
from limner.tasks.task import LossValue


class SemanticTask(nn.Module):
    """The weighted losses of a plan on the main logits, and again on each side head; or on queries."""

    targets: tuple[type[Target[Any]], ...] = (LabelMap,)
    accepts: tuple[OutputKind, ...] = (DenseLogits, QueryMasks)

    def __init__(self, plan: LossPlan, *, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.segment_set: SegmentSetTask | None = None
        if any(term.name == TERM for term in plan.terms):
            self.segment_set = SegmentSetTask(plan, num_classes=num_classes)
            return
        self.names = tuple(term.name for term in plan.terms)
        self.weights = tuple(term.weight for term in plan.terms)
        self.losses = nn.ModuleList(build_loss(t, class_weights=plan.class_weights) for t in plan.terms)

    @classmethod
    def from_plan(cls, plan: Plan) -> "SemanticTask":
        """Build the task of a run.

        Raises:
            ConfigError: A loss has no such option.
        """
        return cls(plan.loss, num_classes=plan.data.label_table.num_classes)

    def loss(self, outputs: Outputs, batch: Batch) -> LossValue:
        """Compare logits with labels at the labels' own resolution.

        Args:
            outputs: Logits (B, K, *s) and those of the side heads; or queries, which are trained with each
                class of an image as one segment.
            batch: With a `LabelMap` (B, *S) on the same device.

        Raises:
            ConfigError: The network scores another number of classes than the data has, or its outputs
                are of a kind that the plan's losses are not for.
        """
        if self.segment_set is not None:
            return self.segment_set.loss(outputs, batch)
        if not isinstance(outputs, DenseLogits):
            raise ConfigError(
                f"Queries are trained with the loss {TERM!r}; found {', '.join(self.names)}. Plan the run of "
                "a module of your own for a network of queries: network.name=mask2former."
            )
        if outputs.logits.shape[1] != self.num_classes:
            raise ConfigError(
                f"The network scores {outputs.logits.shape[1]} classes and the data has {self.num_classes}; "
                f"build it with num_classes={self.num_classes}."
            )
        labels = batch.get(LabelMap)
        assert labels is not None, "semantic segmentation trains on labelled batches"
        parts = self._terms(outputs.logits, labels)
        total = sum(parts.values(), start=outputs.logits.new_zeros(()))
        for position, side in enumerate(outputs.auxiliary):
            terms = self._terms(side.logits, labels)
            parts[f"auxiliary_{position}"] = side.weight * sum(terms.values(), start=total.new_zeros(()))
            total = total + parts[f"auxiliary_{position}"]
        return LossValue(total, {name: value.detach() for name, value in parts.items()})

    def _terms(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        # A softmax over classes is fastest where each class is a plane of its own: of channels-last logits
        # it takes 1.7 times as long on a CPU (19 classes, 512x512).
        full = resize_logits(logits.contiguous(), target.shape[1:])
        return {
            name: weight * loss(full, target)
            for name, weight, loss in zip(self.names, self.weights, self.losses, strict=True)
        }
