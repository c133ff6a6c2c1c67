"""Random crop of a part of the image's area, resized to one size, as in the training of GoogLeNet.

Paper: Going Deeper with Convolutions (Szegedy et al., CVPR 2015), https://arxiv.org/abs/1409.4842; also
called random-resized crop.

Shape legend: S spatial axes, (H, W) or (D, H, W).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, prod

import numpy as np

from limner.core.sample import Sample
from limner.transforms.scale_crop import CropParams, ScaleCrop, on_whole_pixels

DRAWS = 10
"""Maximum number of draws of a window that fits in the image, as in torchvision."""


@dataclass(frozen=True)
class AreaCrop:
    """Crop a window of random area and aspect ratio, and resize it to `size`.

    If no window fits, the largest one with an allowed aspect ratio is taken from the middle.

    Attributes:
        size: Size of the result, (*S).
        area: Smallest and largest part of the image's area.
        aspect: Smallest and largest width over height of the window, relative to `size`; volumes keep it.
        fill: Value of pixels outside the image, of which there are none.
    """

    size: tuple[int, ...]
    area: tuple[float, float] = (0.08, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    fill: Sequence[float] | float = 0.0

    def draw(self, rng: np.random.Generator, sample: Sample) -> CropParams:
        """Draw area, aspect ratio and place of the window."""
        shape = sample.spatial_shape
        for _ in range(DRAWS):
            part = float(rng.uniform(*self.area))
            ratio = exp(float(rng.uniform(log(self.aspect[0]), log(self.aspect[1]))))
            window = self._window(part * prod(shape), ratio)
            if all(w <= s for w, s in zip(window, shape, strict=True)):
                starts = (int(rng.integers(0, s - w + 1)) for w, s in zip(window, shape, strict=True))
                return on_whole_pixels(CropParams(tuple(starts), window), sample)
        return on_whole_pixels(self._middle(shape), sample)

    def apply(self, sample: Sample, params: CropParams) -> Sample:
        """Cut the window out and resize it."""
        return ScaleCrop(size=self.size, fill=self.fill).apply(sample, params)

    def _window(self, volume: float, ratio: float) -> tuple[int, ...]:
        """Return the sides of a window of a number of pixels."""
        zoom = (volume / prod(self.size)) ** (1 / len(self.size))
        sides = [side * zoom for side in self.size]
        if len(sides) == 2:
            sides = [sides[0] / ratio**0.5, sides[1] * ratio**0.5]
        return tuple(max(1, round(side)) for side in sides)

    def _middle(self, shape: tuple[int, ...]) -> CropParams:
        """Return the largest window in the middle of the image with an allowed aspect ratio."""
        zoom = [s / side for s, side in zip(shape, self.size, strict=True)]
        if len(shape) == 2:
            # Width over height, both relative to `size`, is between the two aspects.
            zoom[1] = min(zoom[1], zoom[0] * self.aspect[1])
            zoom[0] = min(zoom[0], zoom[1] / self.aspect[0])
        else:
            zoom = [min(zoom)] * len(zoom)
        window = tuple(max(1, round(z * side)) for z, side in zip(zoom, self.size, strict=True))
        return CropParams(tuple((s - w) // 2 for s, w in zip(shape, window, strict=True)), window)
