"""Channel-wise distillation: the student learns where its teacher sees each class.

Shu et al., "Channel-wise Knowledge Distillation for Dense Prediction", ICCV 2021 (arXiv:2011.13256).

Shape legend: B batch, K classes or channels, *s spatial axes.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from limner.core.errors import ConfigError


class ChannelWiseLoss(nn.Module):
    """Mean over images and channels of ``KL(teacher || student)``; a softmax is over the pixels of a channel.

    Raises:
        ConfigError: The temperature is not positive.
    """

    def __init__(self, *, temperature: float = 1.0) -> None:
        """Build the loss.

        Args:
            temperature: Divides both logits; above 1, weaker pixels count more.
        """
        super().__init__()
        if temperature <= 0:
            raise ConfigError(f"distill_cwd: temperature must be positive; found {temperature}.")
        self.temperature = temperature

    def forward(self, student: Tensor, teacher: Tensor, counted: Tensor) -> Tensor:
        """Return the scalar loss.

        Args:
            student: (B, K, *s) logits.
            teacher: (B, K, *s) logits, without gradient.
            counted: (B, *s) bool; unused: a softmax over pixels needs all of them, and the teacher sees
                ignored ones too.
        """
        expected = F.log_softmax(teacher.flatten(2) / self.temperature, 2)
        found = F.log_softmax(student.flatten(2) / self.temperature, 2)
        summed = F.kl_div(found, expected, reduction="sum", log_target=True)
        return summed * self.temperature**2 / (student.shape[0] * student.shape[1])
