"""Distillation of queries: a student's queries learn the segments that its teacher's queries found.

Queries have no order, so each of the teacher's queries that found something is first matched with one of the
student's, by the same assignment as true segments (Kuhn, 1955); as in the distillation of DETRs (DETRDistill,
Chang et al., ICCV 2023, arXiv:2211.10156), whose boxes are masks here. Matched ones learn classes and masks
as the teacher's probabilities, the others to find nothing.

Shape legend: L decoder layers, B batch, Q queries, K classes, C channels, N kept queries of the teacher, *s
the teacher's resolution.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from limner.core.errors import ConfigError
from limner.core.outputs import QueryMasks
from limner.core.segments import SegmentTargets
from limner.losses.matching import Matches
from limner.losses.points import sample_masks_at
from limner.losses.segment_set import SegmentSetLoss

LEAST_SCORE = 0.5
"""Probability of a class from which a query of the teacher counts as having found something."""


@dataclass(frozen=True)
class FoundSegments(SegmentTargets):
    """What a teacher found in one image; N may be 0.

    Attributes:
        masks: (N, *s) float32 logits, instead of bool.
        classes: (N, K + 1) probabilities; the last is "no object", and the most probable others are `labels`.
    """

    classes: Tensor | None = None


class QueryDistillationLoss(SegmentSetLoss):
    """The loss of sets of segments, with the teacher's segments instead of true ones; one scalar.

    Args:
        least_score: Probability of a class from which a query of the teacher is learned.
        options: Those of `SegmentSetLoss`.

    Raises:
        ConfigError: A setting is out of range.
    """

    def __init__(self, *, least_score: float = LEAST_SCORE, **options: float | str) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        if not 0 <= least_score <= 1:
            raise ConfigError(f"distill_queries: least_score must be in [0, 1]; found {least_score}.")
        self.least_score = least_score

    def distance(
        self, student: QueryMasks, teacher: QueryMasks, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the scalar loss, over all layers of the student.

        Args:
            student: With auxiliary outputs of earlier layers.
            teacher: Without gradient, of the same classes; any number of queries, channels and resolution.
            generator: As in `SegmentSetLoss.forward`.
        """
        parts: dict[str, Tensor] = self(student, self.found(teacher), generator=generator)
        first, *others = parts.values()
        return sum(others, start=first)

    @torch.no_grad()
    def found(self, teacher: QueryMasks) -> tuple[FoundSegments, ...]:
        """Return what the teacher found in each image."""
        chances = teacher.class_logits.float().softmax(-1)
        segments = []
        for image, classes in enumerate(chances):
            best, labels = classes[:, :-1].max(-1)
            kept = best >= self.least_score
            maps = torch.einsum("nc,c...->n...", teacher.embeddings[image, kept], teacher.features[image])
            segments.append(FoundSegments(maps.float(), labels[kept], classes=classes[kept]))
        return tuple(segments)

    def _true_at(self, masks: Tensor, points: Tensor) -> Tensor:
        """Return the teacher's probabilities at points: its logits are interpolated, as the student's are."""
        return sample_masks_at(masks, points).sigmoid()

    def _class_losses(
        self, logits: Tensor, targets: Sequence[SegmentTargets], matches: Sequence[Matches]
    ) -> Tensor:
        """Return each layer's cross-entropy (L,) against the teacher's probabilities, with class weights."""
        nothing = torch.zeros(logits.shape[-1], device=logits.device)
        nothing[-1] = 1
        wanted = nothing.expand(logits.shape).clone()  # (L, B, Q, K + 1)
        weights = torch.full(logits.shape[:-1], self.no_object_weight, device=logits.device)
        for image, (target, matched) in enumerate(zip(targets, matches, strict=True)):
            assert isinstance(target, FoundSegments), "a teacher's segments have probabilities of classes"
            assert target.classes is not None
            rows = matched.queries.unsqueeze(-1).expand(-1, -1, logits.shape[-1])
            wanted[:, image].scatter_(1, rows, target.classes[matched.segments])
            weights[:, image].scatter_(1, matched.queries, 1.0)
        losses = -(wanted * logits.log_softmax(-1)).sum(-1)
        return (losses * weights).sum((1, 2)) / weights.sum((1, 2))
