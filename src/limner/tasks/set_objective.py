"""Training on sets of segments: each true segment is matched with one query of the network.

Shape legend: B batch, K classes, N segments, *S spatial axes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from limner.core.batch import Batch
from limner.core.label_map import LabelMap
from limner.core.labels import LabelTable
from limner.core.outputs import Outputs, QueryMasks
from limner.core.plan import Decision, LossPlan, LossTerm
from limner.core.segments import Segments, SegmentTargets
from limner.losses import QUERY_DISTILLATIONS
from limner.losses.segment_set import SegmentSetLoss
from limner.tasks.objective import Criterion, LossValue, Objective, OptimizerDefaults, only_term, unsuitable
from limner.tasks.situation import Situation
from limner.tasks.teacher import QueryDistillation, distilling

TERM = "segment_set"
"""Name of the loss."""

FEW_POINTS = 1024
"""Number of points for comparing masks on a CPU: crops are small there, and the paper's 12544 are slow."""

NUM_OBJECTS = 20
"""Number of objects per image in cost measurements; the cost hardly depends on the objects themselves."""


SAMPLES_FOR_OBJECTS = 120_000
"""Number of crops from which queries learn to find objects without pretrained weights: 10,000 images, the
fewest with which DETRs are advised on one's own data, 12 times, the shortest published schedule (EoMT on
COCO). Of nuclei, Mask2Former had an AP of 0.006 after 1,744 crops (436 steps in 8 minutes on 2 cores)."""


class SetObjective(Objective):
    """Queries are matched with segments, and compared by class and mask.

    Args:
        samples_to_learn: As in `Objective`.
    """

    losses = frozenset({TERM}) | frozenset(QUERY_DISTILLATIONS)
    knows_partial_labels = True
    distillation = LossTerm(name="distill_queries")
    optimizer = OptimizerDefaults(
        # The paper's rate is 1e-4 at a batch of 16.
        learning_rate=2e-4,
        weight_decay=0.05,
        gradient_norm=0.01,
        batch_on_cpu=4,  # a step is slow, and many steps are needed
        source="the Mask2Former paper",
    )

    def __init__(self, samples_to_learn: int | None = None) -> None:
        self.samples_to_learn = samples_to_learn

    def default_loss(
        self, situation: Situation, settled: Mapping[str, Any], network_loss: Mapping[str, Any]
    ) -> Iterator[Decision]:
        """Choose the only loss, with the options from the network's paper."""
        options = {**network_loss, **({"num_points": FEW_POINTS} if situation.machine.is_cpu else {})}
        mask = "focal loss" if network_loss.get("mask_loss") == "focal" else "cross-entropy"
        reason = f"the network predicts a set of segments: class, {mask} and Dice of matched queries"
        yield Decision("loss.terms", (LossTerm(name=TERM, options=options),), reason)
        yield Decision("loss.class_weights", None, "every segment counts the same, whatever its size")

    def criterion(self, plan: LossPlan, *, labels: LabelTable) -> "SetCriterion":
        """Build the loss of sets of segments.

        Raises:
            ConfigError: As `SetCriterion`.
        """
        return SetCriterion(plan, num_classes=labels.num_classes)

    def example(self, images: torch.Tensor) -> Batch:
        """Return a batch with `NUM_OBJECTS` square objects per image."""
        masks = torch.zeros(NUM_OBJECTS, *images.shape[2:], dtype=torch.bool, device=images.device)
        masks[:, :16, :16] = True
        segments = SegmentTargets(masks, torch.zeros(NUM_OBJECTS, dtype=torch.long, device=images.device))
        return Batch(images, (), {Segments: (segments,) * len(images)})


class SetCriterion(Criterion):
    """The weighted loss of sets of segments.

    Raises:
        ConfigError: The plan has other losses or class weights, or an option is unknown.
    """

    def __init__(self, plan: LossPlan, *, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        taught = distilling(plan.terms)
        rest = plan.model_copy(update={"terms": tuple(one for one in plan.terms if one not in taught)})
        term = only_term(rest, TERM, SegmentSetLoss, networks="predict a set of segments")
        self.weight = term.weight
        self.set_loss = SegmentSetLoss(**term.options)
        self.queries = QueryDistillation(taught[0], term.options) if taught else None
        self.distillation = self.queries

    def loss(self, outputs: Outputs, batch: Batch) -> LossValue:
        """Match queries with the segments of a batch, and compute the loss.

        Args:
            outputs: `QueryMasks`: class logits (B, Q, K + 1) and the factors of masks, with auxiliary outputs
                of earlier layers.
            batch: With `Segments`, or with a `LabelMap` (B, *S), each class of which is one segment.

        Raises:
            ConfigError: The network has another kind of output, or another number of classes.
        """
        if not isinstance(outputs, QueryMasks) or outputs.class_logits.shape[-1] != self.num_classes + 1:
            needs = f"This task needs queries with logits for {self.num_classes} classes and 'no object'"
            raise unsuitable(outputs, needs=needs)
        segments = batch.get(Segments)
        if segments is None:
            label_maps = batch.get(LabelMap)
            assert label_maps is not None, "training needs labelled batches"
            segments = regions_of(label_maps, self.num_classes)
        parts = {name: self.weight * part for name, part in self.set_loss(outputs, segments).items()}
        if self.queries is not None:
            parts |= self.queries(outputs, batch.images)
        return LossValue.of(parts, weight=1.0)


def regions_of(label_maps: torch.Tensor, num_classes: int) -> tuple[SegmentTargets, ...]:
    """Return each class in each label map as one segment; ignored pixels are in none.

    The host waits once, for the classes of all images.

    Args:
        label_maps: (B, *S) 0..K-1, or what is `ignored_among` K classes.
        num_classes: K.
    """
    places = label_maps.flatten(1).long().clamp(max=num_classes)
    seen = torch.zeros(len(places), num_classes + 1, dtype=torch.bool, device=places.device)
    of_images = seen.scatter_(1, places, True)[:, :num_classes].tolist()
    found = []
    for labels, classes in zip(label_maps, of_images, strict=True):
        present = torch.tensor(
            [index for index, is_there in enumerate(classes) if is_there], dtype=torch.long
        )
        present = present.to(labels.device, non_blocking=True)
        found.append(SegmentTargets(labels == present.view(-1, *[1] * labels.ndim), present))
    return tuple(found)
