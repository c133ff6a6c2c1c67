"""Loss of boxes at points: score and box of each point, compared with the true box that it learns.

Papers: Generalized Focal Loss (Li et al., NeurIPS 2020), https://arxiv.org/abs/2006.04388, equation 2, for
the scores, without its distributions of distances; generalised IoU (Rezatofighi et al., CVPR 2019),
https://arxiv.org/abs/1902.09630, for the boxes, weighted by the score to learn as in TOOD (Feng et al.,
ICCV 2021), https://arxiv.org/abs/2108.07755.

Shape legend: B batch, P points, K classes, N boxes of one image.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.core.box_geometry import paired_generalized_ious
from limner.core.boxes import BoxTargets
from limner.core.errors import ConfigError
from limner.core.outputs import PointBoxes
from limner.losses.box_assignment import (
    NOBODY,
    Assignment,
    are_in_any,
    assign_by_alignment,
    assign_by_statistics,
)
from limner.losses.verified_classes import verified_classes

AssignmentName = Literal["alignment", "statistics"]


class PointBoxLoss(nn.Module):
    """Quality focal loss of the scores, and generalised IoU of the boxes.

    Points inside a crowd or a difficult object that learn no box are ignored. In an image of which not all
    objects of a class are drawn, the score of that class counts only at points that learn such an object.

    Raises:
        ConfigError: A setting is out of range.
    """

    def __init__(
        self,
        *,
        assignment: AssignmentName = "alignment",
        class_weight: float = 1.0,
        box_weight: float = 2.0,
        focus: float = 2.0,
        candidates: int = 13,
        score_power: float = 1.0,
        overlap_power: float = 6.0,
    ) -> None:
        """Build the loss.

        Args:
            assignment: Which points learn a box: ``alignment`` as in TOOD, ``statistics`` as in ATSS.
            class_weight: Factor of the score term.
            box_weight: Factor of the box term.
            focus: Exponent of the error with which easy points count less.
            candidates: Maximum number of points that learn a box; for ``alignment``.
            score_power: Exponent of the score in the agreement; for ``alignment``.
            overlap_power: Exponent of the IoU in the agreement; for ``alignment``.
        """
        super().__init__()
        if assignment not in ("alignment", "statistics"):
            raise ConfigError(f"point_boxes: assignment is alignment or statistics; found {assignment!r}.")
        numbers = {
            "class_weight": class_weight,
            "box_weight": box_weight,
            "focus": focus,
            "score_power": score_power,
            "overlap_power": overlap_power,
        }
        for name, value in numbers.items():
            if not value >= 0:
                raise ConfigError(f"point_boxes: {name} must be 0 or more; found {value}.")
        if candidates < 1:
            raise ConfigError(f"point_boxes: candidates must be 1 or more; found {candidates}.")
        self.assignment = assignment
        self.class_weight = class_weight
        self.box_weight = box_weight
        self.focus = focus
        self.candidates = candidates
        self.score_power = score_power
        self.overlap_power = overlap_power

    def forward(self, outputs: PointBoxes, targets: Sequence[BoxTargets]) -> dict[str, Tensor]:
        """Return the weighted terms, whose sum is the loss: ``class`` and ``box``.

        Both are sums over the points, divided by the sum of the scores to learn.

        Args:
            outputs: Of B images.
            targets: B targets in pixels of the input, on the same device.
        """
        logits, boxes = outputs.class_logits.float(), outputs.boxes.float()
        wanted = torch.zeros_like(logits)
        verified = verified_classes(targets, logits.shape[2])
        is_counted = torch.ones_like(logits[..., :1])  # (B, P, 1), or (B, P, K) if classes differ
        if verified is not None:
            is_counted = is_counted * verified[:, None]
        own_boxes, own_truth, weights = [], [], []
        for image, target in enumerate(targets):
            single, labels = target.counted()
            found, scores = boxes[image].detach(), logits[image].detach().sigmoid()
            learned = self._assign(outputs.points, found, scores, single, labels)
            there, chosen = learned.boxes != NOBODY, learned.boxes.clamp(min=0)
            if len(labels):
                own = labels[chosen][:, None]
                wanted[image].scatter_(1, own, learned.quality[:, None])
                if verified is not None:
                    is_counted[image].scatter_reduce_(1, own, there[:, None].float(), "amax")
            excused = are_in_any(outputs.points, target.ignored()) & ~there
            is_counted[image].masked_fill_(excused[:, None], 0)
            rows = _learning(there, any_box=len(labels) > 0)
            own_boxes.append(boxes[image][rows])
            # Points without a box, whose weight is 0, are compared with themselves.
            true = single[chosen[rows]] if len(labels) else boxes[image][rows]
            own_truth.append(true.where(there[rows, None], own_boxes[-1].detach()))
            weights.append(learned.quality[rows])
        weight = torch.cat(weights)
        total = weight.sum().clamp(min=1)
        _, generalized = paired_generalized_ious(torch.cat(own_boxes), torch.cat(own_truth))
        return {
            "class": self.class_weight * (self._score_loss(logits, wanted) * is_counted).sum() / total,
            "box": self.box_weight * ((1 - generalized) * weight).sum() / total,
        }

    def _assign(
        self, points: Tensor, found: Tensor, scores: Tensor, boxes: Tensor, labels: Tensor
    ) -> Assignment:
        if not len(boxes):
            nobody = torch.full_like(points[:, 0], NOBODY, dtype=torch.long)
            return Assignment(nobody, torch.zeros_like(points[:, 0]))
        if self.assignment == "statistics":
            return assign_by_statistics(points, found, boxes)
        return assign_by_alignment(
            points,
            found,
            scores,
            boxes,
            labels,
            candidates=self.candidates,
            score_power=self.score_power,
            overlap_power=self.overlap_power,
        )

    def _score_loss(self, logits: Tensor, wanted: Tensor) -> Tensor:
        """Return the cross-entropy of each score, weighted by its error."""
        error = (logits.sigmoid() - wanted).abs().pow(self.focus)
        return error * F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")


def _learning(there: Tensor, *, any_box: bool) -> Tensor | slice:
    """Return the points that learn a box; on an accelerator all, since the host would wait to know which.

    Args:
        there: (P,) bool: whether a point learns a box.
        any_box: Whether there is a box to learn.
    """
    if not any_box:
        return slice(0)
    return there.nonzero()[:, 0] if there.device.type == "cpu" else slice(None)
