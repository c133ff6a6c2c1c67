"""Targets of the losses of whole images: classes by number, or shares of each class.

Shape legend: B batch, K classes.
"""

import torch.nn.functional as F
from torch import Tensor


def shares_of(target: Tensor, num_classes: int) -> Tensor:
    """Return (B, K) float32 shares.

    Args:
        target: (B,) integer classes, or (B, K) shares already.
        num_classes: K.
    """
    return target if target.is_floating_point() else F.one_hot(target, num_classes).float()
