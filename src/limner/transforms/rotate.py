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
        probability: Fraction of images that are rotated.
        in_space: Whether rotations are in space, with the spacing of the image, so that nothing is sheared
            where pixels are not square.
    """

    limit: float
    fill: Sequence[float] | float = 0.0
    probability: float = 1.0
    in_space: bool = False

    def draw(self, rng: np.random.Generator, sample: Sample) -> RotateParams:
        """Draw the angle."""
        degrees = float(rng.uniform(-self.limit, self.limit))
        # Nothing more is drawn where all images are rotated, so that older runs can be resumed.
        is_rotated = self.probability == 1 or rng.random() < self.probability
        return RotateParams(degrees if is_rotated else 0.0)

    def apply(self, sample: Sample, params: RotateParams) -> Sample:
        """Rotate image and labels."""
        if params.degrees == 0:
            return sample
        spacing = sample.spacing_mm if self.in_space else None
        matrix = turned_around_middle(params.degrees, sample.spatial_shape, spacing)
        return moved_by(sample, matrix, self.fill)
