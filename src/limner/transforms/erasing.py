"""Random erasing: a rectangle of an image is covered, so that no single part of it decides.

Paper: Random Erasing Data Augmentation (Zhong et al., AAAI 2020), https://arxiv.org/abs/1708.04896.

Shape legend: S spatial axes, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, log, prod

import numpy as np

from limner.core.sample import Sample
from limner.transforms.resize_array import as_dtype

AREA, ASPECT = (0.02, 1 / 3), (0.3, 1 / 0.3)
"""Part of the image that is erased, and height over width of the rectangle; as in the paper and in timm."""


@dataclass(frozen=True)
class ErasingParams:
    """Parameters of `Erasing`: the erased window, or None.

    Attributes:
        window: One slice per spatial axis.
    """

    window: tuple[slice, ...] | None


@dataclass(frozen=True)
class Erasing:
    """Cover a rectangle with one colour; labels stay as they are.

    Attributes:
        probability: Fraction of the images with a rectangle.
        fill: Value of erased pixels, per channel or one for all, in image values.
    """

    probability: float
    fill: Sequence[float] | float = 0.0

    def draw(self, rng: np.random.Generator, sample: Sample) -> ErasingParams:
        """Draw whether to erase, and where; the numbers drawn from `rng` do not depend on the image."""
        happens = rng.random() < self.probability
        part, ratio = float(rng.uniform(*AREA)), exp(float(rng.uniform(log(ASPECT[0]), log(ASPECT[1]))))
        places = rng.random(len(sample.spatial_shape))
        if not happens:
            return ErasingParams(None)
        shape = sample.spatial_shape
        side = (part * prod(shape)) ** (1 / len(shape))
        sides = [side] * len(shape)
        sides[-2:] = [side * ratio**0.5, side / ratio**0.5]
        lengths = [min(max(1, round(s)), length) for s, length in zip(sides, shape, strict=True)]
        starts = [int(p * (n - s + 1)) for p, n, s in zip(places.tolist(), shape, lengths, strict=True)]
        return ErasingParams(tuple(slice(a, a + s) for a, s in zip(starts, lengths, strict=True)))

    def apply(self, sample: Sample, params: ErasingParams) -> Sample:
        """Cover the rectangle."""
        if params.window is None:
            return sample
        image = sample.image.copy()
        image[params.window] = as_dtype(np.asarray(self.fill, np.float64), image.dtype)
        return replace(sample, image=image)
