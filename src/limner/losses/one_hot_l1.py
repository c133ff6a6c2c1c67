"""L1 distance between predicted probabilities and the one-hot truth, for classes of whole images."""

import torch
from torch import Tensor, nn

from limner.losses.class_targets import shares_of


class OneHotL1Loss(nn.Module):
    """Mean over the images of ``sum |p - one-hot|``, which is ``2 (1 - p(true class))``.

    Its gradient is small where the prediction is confidently wrong, so it learns slowly at first and is
    little disturbed by wrong labels (Ghosh et al., AAAI 2017).
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss.

        Args:
            logits: (B, K) before softmax.
            target: (B,) integer classes, or (B, K) shares that sum to 1.
        """
        distance = (logits.float().softmax(1) - shares_of(target, logits.shape[1])).abs().sum(1)
        return torch.mean(distance)
