"""Random rotations by any angle up to a limit, around the middle of the image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limner.core.sample import Sample
from limner.transforms.affine_map import moved_by, turned_around_middle


@dataclass(frozen=True)
class RotateParams:
    """Parameters of `Rotate`.

    Attributes:
        degrees: Angle, counter-clockwise.
    """

    degrees: float


@dataclass(frozen=True)
class Rotate:
    """Rotate images by an angle drawn uniformly; the size stays, so that corners are cut and empty.

    For the boxes of objects, see `Boxes.moved`; right angles are exact.

    Attributes:
        limit: Maximum angle in degrees, in either direction.
        fill: Value of pixels from outside the image, per channel or one for all, in image values; in label
            maps they are ignored.
    """

    limit: float
    fill: Sequence[float] | float = 0.0

    def draw(self, rng: np.random.Generator, sample: Sample) -> RotateParams:
        """Draw the angle."""
        return RotateParams(float(rng.uniform(-self.limit, self.limit)))

    def apply(self, sample: Sample, params: RotateParams) -> Sample:
        """Rotate image and labels."""
        if params.degrees == 0:
            return sample
        return moved_by(sample, turned_around_middle(params.degrees, sample.spatial_shape), self.fill)
