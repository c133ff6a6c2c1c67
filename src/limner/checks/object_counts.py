"""Number and size of the objects of each class, per image and summed per split."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.checks.facts import DatasetFacts, ImageFacts, ObjectFacts, in_order
from limner.core.labels import LabelTable


@dataclass(frozen=True)
class ObjectRow:
    """The objects of one class.

    Attributes:
        name: The class.
        trained_as: 0..K-1.
        counts: Split -> number of objects; ``all`` if there are no splits.
        images: Number of images with an object of the class.
        crowds: Number of objects that are crowds.
        smallest: Pixels of the smallest object, or of the smallest box.
        median: Median over the images of the median of each.
        largest: Pixels of the largest object.
    """

    name: str
    trained_as: int
    counts: dict[str, int] = field(default_factory=dict)
    images: int = 0
    crowds: int = 0
    smallest: float = 0.0
    median: float = 0.0
    largest: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON-ready values."""
        return asdict(self)


def measure_objects(
    labels: npt.NDArray[np.int64], areas: npt.NDArray[Any], is_crowd: npt.NDArray[np.bool_]
) -> dict[int, ObjectFacts]:
    """Return mask value -> facts about its objects in one image; those without a pixel are left out.

    Args:
        labels: (N,) mask values.
        areas: (N,) pixels.
        is_crowd: (N,).
    """
    there = areas > 0
    found = {}
    for value in np.unique(labels[there]).tolist():
        chosen = there & (labels == value)
        sizes = areas[chosen].astype(float)
        found[value] = ObjectFacts(
            int(chosen.sum()), int(is_crowd[chosen].sum()), sizes.min(), float(np.median(sizes)), sizes.max()
        )
    return found


def object_rows(facts: DatasetFacts, labels: LabelTable) -> tuple[ObjectRow, ...]:
    """Return a row for each countable class that has objects, in trained order; none for label maps."""
    found: dict[int, list[tuple[ImageFacts, ObjectFacts]]] = {}
    for image in facts.labelled:
        for value, objects in image.objects.items():
            found.setdefault(labels.trained_as.get(value, -1), []).append((image, objects))
    splits = dict.fromkeys(in_order(image.split or "all" for image in facts.labelled), 0)
    return tuple(
        _row(name, index, found[index], splits)
        for index, name in enumerate(labels.names)
        if labels.is_thing[index] and index in found
    )


def _row(
    name: str, index: int, found: Iterable[tuple[ImageFacts, ObjectFacts]], splits: dict[str, int]
) -> ObjectRow:
    counts, rows = dict(splits), []
    for image, objects in found:
        counts[image.split or "all"] += objects.count
        rows.append(objects)
    return ObjectRow(
        name,
        index,
        counts,
        len(rows),
        sum(row.crowds for row in rows),
        min(row.smallest for row in rows),
        median(row.median for row in rows),
        max(row.largest for row in rows),
    )
