"""Binary cross-entropy of each class, for images with several classes.

Shape legend: B batch, K classes.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.core.errors import ConfigError
from limner.losses.class_targets import shares_of


class BinaryCrossEntropyLoss(nn.Module):
    """Mean over images and classes of the cross-entropy of "has the class" against "has it not".

    Raises:
        ConfigError: `smoothing` is out of range.
    """

    def __init__(self, *, class_weights: Sequence[float] | None = None, smoothing: float = 0.0) -> None:
        """Build the loss.

        Args:
            class_weights: One factor per class.
            smoothing: Moves the truth from 0 and 1 towards one half, in [0, 1).
        """
        super().__init__()
        if not 0 <= smoothing < 1:
            raise ConfigError(f"binary_cross_entropy: smoothing must be in [0, 1); found {smoothing}.")
        self.smoothing = smoothing
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss.

        Args:
            logits: (B, K) before the sigmoid.
            target: (B, K) shares in [0, 1], or (B,) integer classes.
        """
        shares = shares_of(target, logits.shape[1])
        shares = shares * (1 - self.smoothing) + self.smoothing / 2
        return F.binary_cross_entropy_with_logits(logits.float(), shares, weight=self.class_weights)
