"""Distillation by correlation: the student learns the order of classes, and of pixels, of its teacher.

DIST: Huang et al., "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022 (arXiv:2205.10536).

Shape legend: B batch, K classes, *s spatial axes, N counted pixels or images.
"""

import torch
from torch import Tensor, linalg, nn

from limner.core.errors import ConfigError

EPSILON = 1e-8
"""Added to the norms of the correlation, as in the authors' code."""


class CorrelationLoss(nn.Module):
    """One minus Pearson's correlation of probabilities: of a pixel's classes, and of a class's pixels.

    Raises:
        ConfigError: The temperature is not positive, or a weight is negative.
    """

    def __init__(self, *, temperature: float = 1.0, between: float = 1.0, within: float = 1.0) -> None:
        """Build the loss.

        Args:
            temperature: Divides both logits.
            between: Weight of the correlation between the classes of each pixel; the paper's beta.
            within: Weight of the correlation between the pixels of each class; the paper's gamma.
        """
        super().__init__()
        if temperature <= 0 or between < 0 or within < 0:
            raise ConfigError(
                "distill_dist: temperature must be positive, between and within at least 0; found "
                f"temperature={temperature}, between={between}, within={within}."
            )
        self.temperature = temperature
        self.between = between
        self.within = within

    def forward(self, student: Tensor, teacher: Tensor, counted: Tensor) -> Tensor:
        """Return the scalar loss; 0 if fewer than two pixels or images are counted.

        Args:
            student: (B, K, *s) logits.
            teacher: (B, K, *s) logits, without gradient.
            counted: (B, *s) bool; False for ignored pixels, which have no part in the loss.
        """
        found, expected = (
            (logits / self.temperature).softmax(1).movedim(1, -1)[counted] for logits in (student, teacher)
        )  # (N, K)
        if len(found) < 2:
            return student.sum() * 0.0
        classes = 1 - correlation(found, expected).mean()
        pixels = 1 - correlation(found.T, expected.T).mean()
        return self.temperature**2 * (self.between * classes + self.within * pixels)


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Return Pearson's correlation of each pair of rows, (R, C) and (R, C) -> (R)."""
    first, second = (rows - rows.mean(1, keepdim=True) for rows in (first, second))
    lengths = linalg.vector_norm(first, dim=1) * linalg.vector_norm(second, dim=1)
    return torch.div((first * second).sum(1), lengths + EPSILON)
