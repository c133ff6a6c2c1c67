"""Test-time augmentation: the same image mirrored and zoomed, and how scores are turned back.

Shape legend: B batch, C channels, K classes, *S spatial axes.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class View:
    """One way to look at an image.

    Attributes:
        scale: Zoom.
        flipped: Spatial axes that are mirrored, counted from 0.
    """

    scale: float = 1.0
    flipped: tuple[int, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether it is the image itself."""
        return self.scale == 1.0 and not self.flipped

    def apply(self, images: torch.Tensor, *, smallest: int = 1) -> torch.Tensor:
        """Return the images as seen: (B, C, *S) -> (B, C, *zoomed), float32 where zoomed.

        Args:
            images: (B, C, *S) of any number type.
            smallest: No axis becomes shorter than this (or than it is).
        """
        if self.scale != 1.0:
            size = [max(min(smallest, s), round(s * self.scale)) for s in images.shape[2:]]
            mode = "bilinear" if len(size) == 2 else "trilinear"
            # Without smoothing, shrinking shows the network aliases it has never seen.
            smooth = self.scale < 1 and len(size) == 2
            images = F.interpolate(
                images.float(), size=size, mode=mode, align_corners=False, antialias=smooth
            )
        return images.flip(self._axes) if self.flipped else images

    def undo_flip(self, scores: torch.Tensor) -> torch.Tensor:
        """Turn scores (B, K, *S) of what was seen back; the zoom is undone when they are resized."""
        return scores.flip(self._axes) if self.flipped else scores

    @property
    def _axes(self) -> tuple[int, ...]:
        return tuple(axis + 2 for axis in self.flipped)


def views(*, scales: Sequence[float], flips: bool, flip_axes: Sequence[int]) -> Iterator[View]:
    """Yield every view: each zoom, and of each zoom every combination of mirrored axes.

    Args:
        scales: The zooms.
        flips: Whether to mirror.
        flip_axes: Axes along which mirroring makes sense: those that training mirrored.
    """
    axes = tuple(flip_axes) if flips else ()
    for scale in scales:
        for number in range(len(axes) + 1):
            for flipped in itertools.combinations(axes, number):
                yield View(scale, flipped)
