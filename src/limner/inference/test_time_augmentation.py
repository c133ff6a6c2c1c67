"""Test-time augmentation: mirrored and zoomed views of an image, and mirroring their scores back.

Shape legend: B batch, C channels, K classes, *S spatial axes.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class View:
    """One view of an image.

    Attributes:
        scale: Zoom factor.
        flipped: Mirrored spatial axes, counted from 0.
    """

    scale: float = 1.0
    flipped: tuple[int, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether it is the unchanged image."""
        return self.scale == 1.0 and not self.flipped

    def apply(self, images: "torch.Tensor", *, smallest: int = 1) -> "torch.Tensor":
        """Return the view of the images: (B, C, *S) -> (B, C, *zoomed), float32 if zoomed.

        Args:
            images: (B, C, *S) of any numeric type.
            smallest: Minimum length of each axis, unless it is shorter already.
        """
        if self.scale != 1.0:
            import torch.nn.functional as F  # noqa: N812 - views of arrays do without PyTorch

            size = self.zoomed(tuple(images.shape[2:]), smallest)
            mode = "bilinear" if len(size) == 2 else "trilinear"
            images = F.interpolate(
                images.float(), size=size, mode=mode, align_corners=False, antialias=self.is_smoothed(size)
            )
        return images.flip(self._axes) if self.flipped else images

    def zoomed(self, size: tuple[int, ...], smallest: int) -> tuple[int, ...]:
        """Return the size of the view of an image of `size`; `smallest` as in `apply`."""
        return tuple(max(min(smallest, side), round(side * self.scale)) for side in size)

    def is_smoothed(self, size: Sequence[int]) -> bool:
        """Return whether images are smoothed: shrunk ones would have artefacts that training images lack."""
        return self.scale < 1 and len(size) == 2

    def undo_flip(self, scores: "torch.Tensor") -> "torch.Tensor":
        """Mirror scores (B, K, *S) of the view back; the zoom is undone when they are resized."""
        return scores.flip(self._axes) if self.flipped else scores

    @property
    def _axes(self) -> tuple[int, ...]:
        return tuple(axis + 2 for axis in self.flipped)


def views(*, scales: Sequence[float], flips: bool, flip_axes: Sequence[int]) -> Iterator[View]:
    """Yield every combination of zoom and mirrored axes.

    Args:
        scales: The zooms.
        flips: Whether to mirror.
        flip_axes: Axes that may be mirrored: those that were mirrored in training.
    """
    axes = tuple(flip_axes) if flips else ()
    for scale in scales:
        for number in range(len(axes) + 1):
            for flipped in itertools.combinations(axes, number):
                yield View(scale, flipped)
