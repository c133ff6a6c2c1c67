"""The first layer of every model: convert the values of image files to normalised float32.

Shape legend: B batch, C channels, *S spatial axes.
"""

from collections.abc import Sequence

import torch
from torch import nn


class InputNormalization(nn.Module):
    """Subtract the mean and divide by the standard deviation of each channel, on the device.

    Images are transferred as stored (uint8 needs a quarter of float32's bandwidth) and converted here.
    Mean and standard deviation are part of the plan, which is saved with the weights, so the state dict
    omits them.

    Args:
        mean: Per channel, in the values of the image files.
        std: Per channel, in the values of the image files, greater than 0.
        clip: Lowest and highest value per channel, to which others are set first; None keeps all values.
    """

    mean: torch.Tensor
    std: torch.Tensor
    low: torch.Tensor | None
    high: torch.Tensor | None

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        clip: Sequence[tuple[float, float]] | None = None,
    ) -> None:
        super().__init__()
        assert len(mean) == len(std) > 0, (mean, std)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32), persistent=False)
        low, high = (None, None) if clip is None else torch.tensor(clip, dtype=torch.float32).unbind(1)
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("high", high, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalise a batch.

        Args:
            images: (B, C, *S) of any number type, in the values of the image files.

        Returns:
            (B, C, *S) float32 in the memory format of `images`.

        Raises:
            ValueError: `images` have another number of channels. (One channel would otherwise be
                broadcast to all of them.)
        """
        if images.shape[1] != len(self.mean):
            raise ValueError(
                f"This model takes images (B, {len(self.mean)}, *S), of {len(self.mean)} channels; "
                f"found {tuple(images.shape)}."
            )
        per_channel = (1, -1, *[1] * (images.ndim - 2))
        # Subtract first: a fused x * scale + shift would lose precision where mean >> std.
        values = images.to(torch.float32)
        if self.low is not None and self.high is not None:
            values = values.clamp(self.low.view(per_channel), self.high.view(per_channel))
        centred = values - self.mean.view(per_channel)
        return centred.div_(self.std.view(per_channel))

    def extra_repr(self) -> str:
        """Return mean and standard deviation for the module's repr."""
        return f"mean={self.mean.tolist()}, std={self.std.tolist()}"
