"""Facts about the position of a volume's voxels, as plain numbers that can be stored."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from limner.core.picture import Geometry

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class VolumeFacts:
    """Where a volume and its labels are.

    Attributes:
        spacing_mm: Spacing along (D, H, W); empty if unknown.
        affine: The 16 numbers of the affine of the array's axes, row by row; empty if unknown.
        label_spacing_mm: As `spacing_mm`, of the labels.
        label_affine: As `affine`, of the labels.
        rounded: Number of label values that are whole numbers only nearly.
    """

    spacing_mm: Numbers = ()
    affine: Numbers = ()
    label_spacing_mm: Numbers = ()
    label_affine: Numbers = ()
    rounded: int = 0

    @classmethod
    def of(cls, geometry: Geometry) -> "VolumeFacts":
        """Return the facts of a volume without labels."""
        return cls(geometry.spacing_mm or (), _flat(geometry))

    def with_labels(self, geometry: Geometry, *, rounded: int) -> "VolumeFacts":
        """Return the facts with those of the labels."""
        spacing, affine = geometry.spacing_mm or (), _flat(geometry)
        return replace(self, label_spacing_mm=spacing, label_affine=affine, rounded=rounded)

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
        rounded = int(values.pop("rounded"))
        return cls(**{key: tuple(numbers) for key, numbers in values.items()}, rounded=rounded)


def _flat(geometry: Geometry) -> Numbers:
    return () if geometry.affine is None else tuple(float(number) for number in geometry.affine.ravel())


def _geometry(spacing_mm: Numbers, affine: Sequence[float]) -> Geometry:
    known = np.array(affine, np.float64).reshape(4, 4) if affine else None
    return Geometry(spacing_mm or None, known)
