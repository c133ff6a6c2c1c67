"""A random part of some of the images, cut out before anything else, as in the training of DETR.

Paper: End-to-End Object Detection with Transformers (Carion et al., ECCV 2020), https://arxiv.org/abs/2005.12872,
appendix A.4. Deformable DETR trains in the same way.
"""

from dataclasses import dataclass

import numpy as np

from limner.core.sample import Sample
from limner.transforms.scale_crop import CropParams, ScaleCrop, on_whole_pixels

SHORTER_SIDES = (400, 500, 600)
"""Pixels of an image's shorter side, one of which is drawn, in which the part is measured."""

PART_SIDES = (384, 600)
"""Smallest and largest side of the part in those pixels; all of a side that is shorter."""


@dataclass(frozen=True)
class PartCut:
    """Cut a fraction of the images to a part of random height, width and position.

    The part keeps the pixels of the file: the size in which it is measured only decides how much it shows.
    What comes next resizes it like a whole image, so that its objects become larger.

    Attributes:
        probability: Fraction of the images that are cut.
    """

    probability: float

    def draw(self, rng: np.random.Generator, sample: Sample) -> CropParams:
        """Draw whether to cut, and the part: (H, W) of the whole image if not."""
        shape = sample.spatial_shape
        if rng.random() >= self.probability:
            return CropParams((0,) * len(shape), shape)
        zoom = float(rng.choice(SHORTER_SIDES)) / min(shape)
        window = tuple(_side(rng, side, zoom) for side in shape)
        starts = (int(rng.integers(0, side - part + 1)) for side, part in zip(shape, window, strict=True))
        return on_whole_pixels(CropParams(tuple(starts), window), sample)

    def apply(self, sample: Sample, params: CropParams) -> Sample:
        """Return the part; the sample itself if that is all of it."""
        if params.window == sample.spatial_shape:
            return sample
        return ScaleCrop(size=params.window).apply(sample, params)


def _side(rng: np.random.Generator, side: int, zoom: float) -> int:
    """Draw a side of the part, in pixels of the file, of an image's side that is measured at a zoom."""
    smallest, largest = (min(limit, round(side * zoom)) for limit in PART_SIDES)
    return min(max(1, round(int(rng.integers(smallest, largest + 1)) / zoom)), side)
