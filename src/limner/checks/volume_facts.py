"""Facts about the position of a volume's voxels, as plain numbers that can be stored."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any

import numpy as np

from limner.core.labels import ValueMap
from limner.core.picture import Geometry, Image
from limner.transforms.normalize_each import nonzero_box

Numbers = tuple[float, ...]

SAMPLED = 10_000
"""Maximum number of labelled voxels of a volume whose values are looked at, as in nnU-Net."""

QUANTILES = 201
"""Number of quantiles of these values: one every 0.5 percent, which are the ends at which CT is clipped."""


@dataclass(frozen=True)
class VolumeFacts:
    """Where a volume and its labels are.

    Attributes:
        spacing_mm: Spacing along (D, H, W); empty if unknown.
        affine: The 16 numbers of the affine of the array's axes, row by row; empty if unknown.
        label_spacing_mm: As `spacing_mm`, of the labels.
        label_affine: As `affine`, of the labels.
        rounded: Number of label values that are whole numbers only nearly.
        nonzero_share: Part of the volume in the smallest box around voxels that are not 0 in some channel.
        foreground: C times the values at evenly spaced quantiles (`QUANTILES` of them, from 0 to 1) of the
            voxels whose label is not 0; empty without such voxels.
    """

    spacing_mm: Numbers = ()
    affine: Numbers = ()
    label_spacing_mm: Numbers = ()
    label_affine: Numbers = ()
    rounded: int = 0
    nonzero_share: float = 1.0
    foreground: tuple[Numbers, ...] = ()

    @classmethod
    def of(cls, geometry: Geometry, image: Image | None = None) -> "VolumeFacts":
        """Return the facts of a volume without labels.

        Args:
            geometry: Position of its voxels.
            image: (D, H, W, C) its values; None if they are not needed.
        """
        facts = cls(geometry.spacing_mm or (), _flat(geometry))
        if image is None:
            return facts
        inside = prod(side.stop - side.start for side in nonzero_box(image))
        return replace(facts, nonzero_share=inside / max(prod(image.shape[:-1]), 1))

    def with_labels(self, geometry: Geometry, *, rounded: int) -> "VolumeFacts":
        """Return the facts with those of the labels' file."""
        spacing, affine = geometry.spacing_mm or (), _flat(geometry)
        return replace(self, label_spacing_mm=spacing, label_affine=affine, rounded=rounded)

    def with_foreground(self, image: Image, labels: ValueMap) -> "VolumeFacts":
        """Return the facts with the values of labelled voxels, of at most `SAMPLED` of them.

        Args:
            image: (D, H, W, C).
            labels: (D, H, W); nothing is added if it has another shape.
        """
        places = np.flatnonzero(labels) if labels.shape == image.shape[:-1] else np.empty(0, np.intp)
        if places.size == 0:
            return self
        places = places[:: -(-places.size // SAMPLED)]
        values = image[np.unravel_index(places, labels.shape)].astype(np.float64)
        values = values[np.isfinite(values).all(axis=1)]
        if not len(values):
            return self
        rows = np.quantile(values, np.linspace(0, 1, QUANTILES), axis=0).T
        return replace(self, foreground=tuple(tuple(float(f"{v:.6g}") for v in row) for row in rows))

    @property
    def geometry(self) -> Geometry:
        """The position of the voxels."""
        return _geometry(self.spacing_mm, self.affine)

    @property
    def label_geometry(self) -> Geometry:
        """The position of the labels."""
        return _geometry(self.label_spacing_mm, self.label_affine)

    def to_json(self) -> dict[str, Any]:
        """Return the facts as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "VolumeFacts":
        """Return the facts that `to_json` gave."""
        rounded, rows = int(values.pop("rounded")), values.pop("foreground")
        nonzero_share = float(values.pop("nonzero_share"))
        numbers = {key: tuple(each) for key, each in values.items()}
        foreground = tuple(tuple(row) for row in rows)
        return cls(**numbers, rounded=rounded, nonzero_share=nonzero_share, foreground=foreground)


def _flat(geometry: Geometry) -> Numbers:
    return () if geometry.affine is None else tuple(float(number) for number in geometry.affine.ravel())


def _geometry(spacing_mm: Numbers, affine: Sequence[float]) -> Geometry:
    known = np.array(affine, np.float64).reshape(4, 4) if affine else None
    return Geometry(spacing_mm or None, known)
