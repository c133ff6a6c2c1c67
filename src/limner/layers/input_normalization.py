"""The first layer of every model: the values of the image files become normalised float32.

Shape legend: B batch, C channels, *S spatial axes.
"""

from collections.abc import Sequence

import torch
from torch import nn


class InputNormalization(nn.Module):
    """Subtract the mean and divide by the standard deviation of each channel, on the device.

    Images travel as they were stored (uint8 is a quarter of float32's traffic) and become float here.
    The numbers belong to the plan, which is saved with the weights, so the state dict leaves them out.

    Args:
        mean: Per channel, in the values of the image files.
        std: Per channel, in the values of the image files, greater than 0.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        assert len(mean) == len(std) > 0, (mean, std)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalise a batch.

        Args:
            images: (B, C, *S) of any number type, in the values of the image files.

        Returns:
            (B, C, *S) float32 in the memory format of `images`.
        """
        per_channel = (1, -1, *[1] * (images.ndim - 2))
        # Subtracted first and apart: a fused x * scale + shift would lose digits where mean >> std.
        centred = images.to(torch.float32) - self.mean.view(per_channel)
        return centred.div_(self.std.view(per_channel))

    def extra_repr(self) -> str:
        """Show the numbers in the module's printed form."""
        return f"mean={self.mean.tolist()}, std={self.std.tolist()}"
