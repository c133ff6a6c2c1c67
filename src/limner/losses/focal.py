"""Focal loss (Lin et al., ICCV 2017), https://arxiv.org/abs/1708.02002, for exclusive classes and masks."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.core.errors import ConfigError
from limner.core.labels import ignored_among
from limner.losses.class_targets import shares_of


class FocalLoss(nn.Module):
    """Cross-entropy times ``(1 - p)^gamma``, which down-weights easy pixels.

    Raises:
        ConfigError: `gamma` is negative.
    """

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        one_vs_rest: bool = False,
        alpha: float = 0.5,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        """Build the loss.

        Args:
            gamma: 0 is plain cross-entropy.
            one_vs_rest: Judge each class by its own sigmoid instead of a softmax over all, as the paper does
                for detectors; the loss of a pixel is the mean over the classes.
            alpha: With `one_vs_rest`, weight of the true class, versus 1 - alpha of the others.
            class_weights: One factor per class of the pixel.
        """
        super().__init__()
        if gamma < 0:
            raise ConfigError(f"focal: gamma must be 0 or more; found {gamma}.")
        if not 0 <= alpha <= 1:
            raise ConfigError(f"focal: alpha must be between 0 and 1; found {alpha}.")
        self.gamma = gamma
        self.one_vs_rest = one_vs_rest
        self.alpha = alpha
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss, the mean over pixels that are not ignored.

        Args:
            logits: (B, K, *S) before softmax.
            target: (B, *S) integer labels, or what is `ignored_among` K classes; or (B, K) shares of whole
                images that sum to 1.
        """
        if target.is_floating_point():
            return self._of_shares(logits, target)
        labels, ignored = target.long(), ignored_among(logits.shape[1])
        valid = labels != ignored
        labels = labels.where(valid, 0)
        of_pixel = self._of_pixels(logits.float(), labels).where(valid, 0)
        if self.class_weights is not None:
            of_pixel = of_pixel * self.class_weights[labels]
        return of_pixel.sum() / valid.sum().clamp(min=1)

    def _of_pixels(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each pixel (B, *S) from logits (B, K, *S) and labels 0..K-1."""
        if not self.one_vs_rest:
            log_of_true = -F.nll_loss(logits.log_softmax(dim=1), labels, reduction="none")
            return -((1 - log_of_true.exp()) ** self.gamma) * log_of_true
        true = torch.zeros_like(logits).scatter_(1, labels.unsqueeze(1), 1.0)
        entropy = F.binary_cross_entropy_with_logits(logits, true, reduction="none")
        missing = (true - logits.sigmoid()).abs() ** self.gamma  # 1 - the probability of what is true
        weights = self.alpha * true + (1 - self.alpha) * (1 - true)
        return (weights * missing * entropy).mean(1)

    def _of_shares(self, logits: Tensor, shares: Tensor) -> Tensor:
        logs = logits.float().log_softmax(dim=1)
        costs = -((1 - logs.exp()) ** self.gamma) * logs * shares
        weighted = costs if self.class_weights is None else costs * self.class_weights
        return weighted.sum() / len(logits)


class BinaryFocalLoss(nn.Module):
    """Focal loss of each class, for images with several, with the paper's alpha of 0.25 and gamma of 2."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss, the mean over images and classes.

        Args:
            logits: (B, K) before the sigmoid.
            target: (B, K) shares in [0, 1], or (B,) integer classes.
        """
        one, zero = binary_focal_costs(logits.float())
        shares = shares_of(target, logits.shape[1])
        return (shares * one + (1 - shares) * zero).mean()


ALPHA = 0.25
"""Weight inside a mask, versus 1 - ALPHA outside; the paper's best with gamma 2."""


def binary_focal_costs(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss of each logit for a true value of one, and for zero."""
    probabilities = scores.sigmoid()
    one = ALPHA * (1 - probabilities) ** 2 * F.softplus(-scores)
    zero = (1 - ALPHA) * probabilities**2 * F.softplus(scores)
    return one, zero
