"""Statistics of the training volumes: sizes, spacings, and the values of what is labelled.

Axes are those of the arrays (D, H, W) in the most common orientation. Shape legend: C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from limner.checks.facts import ImageFacts
from limner.transforms.resample_volume import resampled_size
from limner.transforms.turn import turn_to

Size = tuple[int, ...]
Spacing = tuple[float, ...]

CLIPPED = 0.5
"""Percent of the labelled voxels below and above which values are clipped, as in nnU-Net."""


@dataclass(frozen=True)
class Foreground:
    """The values of one channel at labelled voxels, with the same weight for each volume.

    Attributes:
        low: The 0.5 percentile.
        high: The 99.5 percentile.
        mean: Mean value.
        std: Standard deviation.
    """

    low: float
    high: float
    mean: float
    std: float


@dataclass(frozen=True)
class VolumeFingerprint:
    """The training volumes as they are stored, before any resampling.

    Attributes:
        shapes: Size of each volume.
        spacings_mm: Spacing of each volume; empty if one does not state it.
        num_without_spacing: Number of volumes that do not state their spacing.
        foreground: C statistics; empty if nothing is labelled.
        nonzero_share: Median part of a volume in the box around its voxels that are not 0.
    """

    shapes: tuple[Size, ...]
    spacings_mm: tuple[Spacing, ...] = ()
    num_without_spacing: int = 0
    foreground: tuple[Foreground, ...] = ()
    nonzero_share: float = 1.0

    def shapes_at(self, spacing_mm: Spacing) -> tuple[Size, ...]:
        """Return the size of each volume after resampling."""
        pairs = zip(self.shapes, self.spacings_mm, strict=True)
        return tuple(resampled_size(shape, spacing, spacing_mm) for shape, spacing in pairs)

    @property
    def median_spacing_mm(self) -> Spacing:
        """Median spacing, axis by axis; of volumes that state it."""
        return tuple(median(steps) for steps in zip(*self.spacings_mm, strict=True))


def take_volume_fingerprint(images: Sequence[ImageFacts], codes: str | None) -> VolumeFingerprint | None:
    """Return the statistics of the volumes among some images, or None if there are none.

    Args:
        images: Facts of the training images.
        codes: The most common orientation, see `common_codes`.
    """
    shapes: list[Size] = []
    spacings: list[Spacing] = []
    shares: list[float] = []
    for image in images:
        if image.volume is None or len(image.shape) != 3:
            continue
        order = turn_to(codes, image.volume.geometry.affine).order
        shapes.append(tuple(image.shape[axis] for axis in order))
        shares.append(image.volume.nonzero_share)
        if image.volume.spacing_mm:
            spacings.append(tuple(image.volume.spacing_mm[axis] for axis in order))
    if not shapes:
        return None
    unknown = len(shapes) - len(spacings)
    known = () if unknown else tuple(spacings)
    return VolumeFingerprint(tuple(shapes), known, unknown, _foreground(images), median(shares))


def _foreground(images: Sequence[ImageFacts]) -> tuple[Foreground, ...]:
    """Return the statistics of each channel over the labelled voxels of all volumes."""
    rows = [image.volume.foreground for image in images if image.volume and image.volume.foreground]
    if len({len(row) for row in rows}) != 1:
        return ()
    found = []
    for quantiles in np.array(rows).transpose(1, 0, 2):  # (C, volumes, quantiles)
        low, high = np.percentile(quantiles, (CLIPPED, 100 - CLIPPED))
        found.append(Foreground(*map(_rounded, (low, high, quantiles.mean(), quantiles.std()))))
    return tuple(found)


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
