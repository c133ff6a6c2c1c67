"""Losses of the scores of queries: of those that have an object, and of those that have none.

Shape legend: N scores, in any shape.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from limner.losses.focal import ALPHA, binary_focal_costs


@dataclass(frozen=True)
class ScoreLoss:
    """Loss of the logits (N,) of single classes.

    Attributes:
        of_objects: Losses (N,) of the classes of matched queries, from their logits and the IoU (N,) of their
            boxes.
        of_nothing: Losses (N,) of all other classes and queries.
    """

    of_objects: Callable[[Tensor, Tensor], Tensor]
    of_nothing: Callable[[Tensor], Tensor]


def _focal_of_objects(logits: Tensor, overlaps: Tensor) -> Tensor:
    del overlaps
    return binary_focal_costs(logits)[0]


def _focal_of_nothing(logits: Tensor) -> Tensor:
    return binary_focal_costs(logits)[1]


def _varifocal_of_objects(logits: Tensor, overlaps: Tensor) -> Tensor:
    """Cross-entropy with the IoU as the score to learn, weighted by it."""
    quality = overlaps.detach()
    return quality * F.binary_cross_entropy_with_logits(logits, quality, reduction="none")


def _varifocal_of_nothing(logits: Tensor) -> Tensor:
    """Cross-entropy of a score of 0, weighted by the square of the score, which has no gradient."""
    return (1 - ALPHA) * logits.detach().sigmoid() ** 2 * F.softplus(logits)


SCORE_LOSSES: Mapping[str, ScoreLoss] = {
    # Focal Loss (Lin et al., ICCV 2017).
    "focal": ScoreLoss(_focal_of_objects, _focal_of_nothing),
    # VarifocalNet (Zhang et al., CVPR 2021), https://arxiv.org/abs/2008.13367, equation 2.
    "varifocal": ScoreLoss(_varifocal_of_objects, _varifocal_of_nothing),
}
"""Name -> loss of the scores of queries."""
