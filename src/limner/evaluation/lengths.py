"""Units of the distances of a scored dataset."""

from collections.abc import Iterator
from dataclasses import dataclass

from limner.metrics.case_scores import Ruler

MILLIMETRES, PIXELS, VOXELS = "mm", "pixels", "voxels"


@dataclass
class Lengths:
    """How distances are measured, and in which unit: that of the first image.

    Attributes:
        tolerance: Distance within which surfaces count as equal; None is the largest spacing of each image.
        unit: Unit of the images so far; empty without any.
        num_unmeasured: Images with another unit, which have no distances.
    """

    tolerance: float | None = None
    unit: str = ""
    num_unmeasured: int = 0

    def ruler(self, spacing_mm: tuple[float, ...] | None, dims: int, background: int | None) -> Ruler | None:
        """Return how to measure the next image, or None if its unit differs from that of the others.

        Args:
            spacing_mm: Distance between its pixels, or None if it is unknown.
            dims: Number of its axes.
            background: Class that is not measured, or None.
        """
        unit = (VOXELS if dims == 3 else PIXELS) if spacing_mm is None else MILLIMETRES
        self.unit = self.unit or unit
        if unit != self.unit:
            self.num_unmeasured += 1
            return None
        return Ruler(spacing_mm or (1.0,) * dims, self.tolerance, background)

    def merge(self, other: "Lengths") -> None:
        """Add the images of another device."""
        assert self.unit == other.unit or not (self.unit and other.unit), (self.unit, other.unit)
        self.unit = self.unit or other.unit
        self.num_unmeasured += other.num_unmeasured

    def notes(self) -> Iterator[str]:
        """Yield what to know about the distances."""
        if self.unit and self.unit != MILLIMETRES:
            yield f"The spacing of the images is unknown, so distances are in {self.unit}."
        if self.num_unmeasured:
            known = "unknown" if self.unit == MILLIMETRES else "known"
            yield (
                f"{self.num_unmeasured} of the images have no distances: their spacing is {known}, unlike "
                f"that of the first image, whose distances are in {self.unit}."
            )
