"""Soft Dice loss (Milletari et al., V-Net, 3DV 2016, in its multi-class form)."""

from torch import Tensor, nn

from limner.core.errors import ConfigError
from limner.losses.overlap import soft_overlap


class DiceLoss(nn.Module):
    """One minus the mean over classes of ``2 |P and T| / (|P| + |T|)``, with probabilities as soft sets.

    Because of smoothing, a class that is absent from the batch and hardly predicted costs almost nothing.
    Pooling over the batch (the default) keeps small objects from making the loss noisy.

    Raises:
        ConfigError: `smooth` is not positive.
    """

    def __init__(
        self, *, smooth: float = 1.0, per_image: bool = False, include_background: bool = True
    ) -> None:
        """Build the loss.

        Args:
            smooth: Smoothing in pixels, added to numerator and denominator.
            per_image: Average the losses of the images instead of pooling over the batch.
            include_background: Whether trained class 0 counts.
        """
        super().__init__()
        if smooth <= 0:
            raise ConfigError(f"dice: smooth must be above 0; found {smooth}.")
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
        dice = (2 * overlap.both + self.smooth) / (overlap.predicted + overlap.true + self.smooth)
        return 1 - dice[:, self.first_class :].mean()
