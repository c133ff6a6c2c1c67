"""Tversky loss (Salehi et al., MLMI 2017), with the focal exponent of Abraham and Khan (ISBI 2019)."""

from torch import Tensor, nn

from limner.core.errors import ConfigError
from limner.losses.overlap import soft_overlap


class TverskyLoss(nn.Module):
    """Dice with separate weights for false positives (`alpha`) and false negatives (`beta`).

    ``alpha = beta = 0.5`` is Dice; a larger `beta` favours recall.

    Raises:
        ConfigError: A setting is out of range.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.3,
        beta: float = 0.7,
        gamma: float = 1.0,
        smooth: float = 1.0,
        per_image: bool = False,
        include_background: bool = True,
    ) -> None:
        """Build the loss.

        Args:
            alpha: Weight of false positives.
            beta: Weight of false negatives.
            gamma: Exponent of each class's loss; below 1 emphasises hard classes.
            smooth: Smoothing in pixels, added to numerator and denominator.
            per_image: Average the losses of the images instead of pooling over the batch.
            include_background: Whether trained class 0 counts.
        """
        super().__init__()
        if min(alpha, beta) < 0 or alpha + beta <= 0:
            raise ConfigError(
                f"tversky: alpha and beta must be 0 or more, and not both 0; found {alpha} and {beta}."
            )
        if gamma <= 0 or smooth <= 0:
            raise ConfigError(f"tversky: gamma and smooth must be above 0; found {gamma} and {smooth}.")
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.smooth = smooth
        self.per_image = per_image
        self.first_class = 0 if include_background else 1

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss in [0, 1].

        Args:
            logits: (B, K, *S) before softmax.
            target: (B, *S) integer labels, or what is `ignored_among` K classes.
        """
        overlap = soft_overlap(logits, target, per_image=self.per_image)
        false_positives = overlap.predicted - overlap.both
        false_negatives = overlap.true - overlap.both
        above = overlap.both + self.smooth
        below = above + self.alpha * false_positives + self.beta * false_negatives
        # By rounding, a perfect class may be slightly below 0, where the power is undefined.
        loss = (1 - above / below).clamp(min=0)[:, self.first_class :]
        return (loss if self.gamma == 1 else (loss + 1e-7) ** self.gamma).mean()
