"""What the tasks share that are trained as sets of segments: the loss of a plan on queries.

Shape legend: B batch, K classes, N segments, *S spatial axes.
"""

from typing import Any

import torch
from torch import nn

from limner.core.batch import Batch
from limner.core.config import refuse_unknown_options
from limner.core.errors import ConfigError
from limner.core.label_map import LabelMap
from limner.core.labels import IGNORE_INDEX
from limner.core.outputs import DenseLogits, OutputKind, QueryMasks
from limner.core.plan import LossPlan, Plan
from limner.core.segments import Segments, SegmentTargets
from limner.core.targets import Target
from limner.losses.segment_set import SegmentSetLoss
from limner.tasks.task import LossValue

TERM = "segment_set"


class SegmentSetTask(nn.Module):
    """Each true segment answered by one query; the base of the instance and the panoptic task.

    Raises:
        ConfigError: The plan's losses are not those of sets of segments, or have no such option.
    """

    targets: tuple[type[Target[Any]], ...] = (Segments,)
    accepts: tuple[OutputKind, ...] = (QueryMasks,)

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

    @classmethod
    def from_plan(cls, plan: Plan) -> "SegmentSetTask":
        """Build the task of a run.

        Raises:
            ConfigError: As the constructor.
        """
        return cls(plan.loss, num_classes=plan.data.label_table.num_classes)

    def loss(self, outputs: DenseLogits | QueryMasks, batch: Batch) -> LossValue:
        """Match queries with the segments of a batch and compare them.

        Args:
            outputs: Class logits (B, Q, K + 1) and the masks' factors, with those of earlier layers.
            batch: With `Segments`, or with a `LabelMap` (B, *S), of which each class is one segment.

        Raises:
            ConfigError: The network gives another kind of output, or another number of classes.
        """
        if not isinstance(outputs, QueryMasks) or outputs.class_logits.shape[-1] != self.num_classes + 1:
            logits = outputs.class_logits if isinstance(outputs, QueryMasks) else outputs.logits
            raise ConfigError(
                f"This task needs queries that score {self.num_classes} classes and no object; the network "
                f"gives {type(outputs).__name__} of shape {tuple(logits.shape)}."
            )
        segments = batch.get(Segments)
        if segments is None:
            label_maps = batch.get(LabelMap)
            assert label_maps is not None, "training needs labelled batches"
            segments = tuple(regions_of(labels) for labels in label_maps)
        parts = {name: self.weight * part for name, part in self.set_loss(outputs, segments).items()}
        total = sum(parts.values(), start=outputs.class_logits.new_zeros(()))
        return LossValue(total, {name: value.detach() for name, value in parts.items()})


def regions_of(labels: torch.Tensor) -> SegmentTargets:
    """Return each class that a label map holds as one segment; ignored pixels are in none.

    Args:
        labels: (*S) uint8, 0..K-1 or `IGNORE_INDEX`.
    """
    present = torch.bincount(labels.flatten().long(), minlength=256)[:IGNORE_INDEX].nonzero().flatten()
    masks = labels == present.view(-1, *[1] * labels.ndim)
    return SegmentTargets(masks, present)
