"""Pixel-wise cross-entropy with class weights, label smoothing and online hard example mining.

Shape legend: B batch, K classes, *S spatial axes.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.core.errors import ConfigError
from limner.core.labels import ignored_among


class CrossEntropyLoss(nn.Module):
    """Mean of ``-log p(true class)`` over the counted pixels.

    Hard example mining keeps the pixels whose true class has a probability below `hard_threshold`, and
    at least the fraction `hard_fraction` with the highest loss (Shrivastava et al., CVPR 2016; the
    version with a threshold is BiSeNet's, ECCV 2018: threshold 0.7, fraction 1/16).

    Raises:
        ConfigError: A setting is out of range.
    """

    def __init__(
        self,
        *,
        class_weights: Sequence[float] | None = None,
        smoothing: float = 0.0,
        hard_fraction: float = 1.0,
        hard_threshold: float | None = None,
    ) -> None:
        """Build the loss.

        Args:
            class_weights: One factor per class; the mean is weighted, so their scale does not matter.
            smoothing: Label smoothing, in [0, 1).
            hard_fraction: Fraction of hardest pixels that is always kept, in (0, 1].
            hard_threshold: Also keep every pixel whose true class has a lower probability than this.
        """
        super().__init__()
        if not 0 <= smoothing < 1:
            raise ConfigError(f"cross_entropy: smoothing must be in [0, 1); found {smoothing}.")
        if not 0 < hard_fraction <= 1:
            raise ConfigError(f"cross_entropy: hard_fraction must be in (0, 1]; found {hard_fraction}.")
        if hard_threshold is not None and not 0 < hard_threshold < 1:
            raise ConfigError(f"cross_entropy: hard_threshold must be in (0, 1); found {hard_threshold}.")
        self.smoothing = smoothing
        self.hard_fraction = hard_fraction
        self.hard_threshold = hard_threshold
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss; 0 where every pixel is ignored.

        Args:
            logits: (B, K, *S) before softmax.
            target: (B, *S) integer labels, or what is `ignored_among` K classes; or (B, K) shares of whole
                images that sum to 1.
        """
        if target.is_floating_point():
            return self._of_shares(logits, target)
        if self.hard_fraction < 1:
            return self._hard_examples(logits, target)
        labels, ignored = target.long(), ignored_among(logits.shape[1])
        summed = F.cross_entropy(
            logits,
            labels,
            weight=self.class_weights,
            ignore_index=ignored,
            reduction="sum",
            label_smoothing=self.smoothing,
        )
        if self.class_weights is None:
            return summed / (labels != ignored).sum().clamp(min=1)
        weight_of_pixel = F.pad(self.class_weights, (0, ignored + 1 - len(self.class_weights)))[labels]
        return summed / weight_of_pixel.sum().clamp(min=torch.finfo(torch.float32).tiny)

    def _of_shares(self, logits: Tensor, shares: Tensor) -> Tensor:
        summed = F.cross_entropy(
            logits, shares, weight=self.class_weights, reduction="sum", label_smoothing=self.smoothing
        )
        if self.class_weights is None:
            return summed / len(logits)
        return summed / (shares * self.class_weights).sum().clamp(min=torch.finfo(torch.float32).tiny)

    def _hard_examples(self, logits: Tensor, target: Tensor) -> Tensor:
        labels, ignored = target.long(), ignored_among(logits.shape[1])
        of_pixel = F.cross_entropy(
            logits,
            labels,
            weight=self.class_weights,
            ignore_index=ignored,
            reduction="none",
            label_smoothing=self.smoothing,
        ).flatten()
        valid = (labels != ignored).flatten()
        # Without asking how many pixels are valid, for which an accelerator would have to be waited for.
        keep = (self.hard_fraction * valid.sum()).long().clamp(min=1)
        most = max(1, int(self.hard_fraction * len(of_pixel)))
        hardest = of_pixel.detach().where(valid, -1).topk(most).values
        bound = hardest.gather(0, (keep - 1).clamp(max=most - 1).view(1))
        if self.hard_threshold is not None:
            bound = bound.clamp(max=-math.log(self.hard_threshold))
        is_kept = valid & (of_pixel.detach() >= bound)
        return of_pixel.where(is_kept, 0).sum() / is_kept.sum().clamp(min=1)
