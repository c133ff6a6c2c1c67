"""Distillation by soft targets: the student learns the probabilities of its teacher.

Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015 (arXiv:1503.02531).

Shape legend: B batch, K classes, *s spatial axes; none for whole images.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from limner.core.errors import ConfigError
from limner.losses.masked_mean import mean_where


class SoftTargetLoss(nn.Module):
    """Mean of ``KL(teacher || student)`` over the counted pixels, at a temperature.

    The factor of the squared temperature keeps the size of the gradient independent of it (section 2 of the
    paper).

    Raises:
        ConfigError: The temperature is not positive.
    """

    def __init__(self, *, temperature: float = 1.0) -> None:
        """Build the loss.

        Args:
            temperature: Divides both logits; above 1, wrong classes count more.
        """
        super().__init__()
        if temperature <= 0:
            raise ConfigError(f"distill_soft: temperature must be positive; found {temperature}.")
        self.temperature = temperature

    def forward(self, student: Tensor, teacher: Tensor, counted: Tensor) -> Tensor:
        """Return the scalar loss; 0 if nothing is counted.

        Args:
            student: (B, K, *s) logits.
            teacher: (B, K, *s) logits, without gradient.
            counted: (B, *s) bool; False for ignored pixels, which have no part in the loss.
        """
        expected = F.log_softmax(teacher / self.temperature, 1)
        found = F.log_softmax(student / self.temperature, 1)
        divergence = F.kl_div(found, expected, reduction="none", log_target=True).sum(1)
        mean = mean_where(divergence, counted)
        return mean * self.temperature**2
