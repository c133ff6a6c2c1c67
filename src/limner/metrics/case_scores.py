"""Scores of single cases, averaged over the cases: Dice, surface distances and differences in volume.

A case is a volume, or an image with known spacing. A class that is there and was missed counts as missed in
every score: its distances are the diagonal of the case, so a mean never improves because less was found.

Shape legend: K classes, *S spatial axes; leading axes (...) of counts, such as of replicates, are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from limner.core.labels import LabelArray, ignored_in
from limner.metrics.confusion import Counts, Overall, PerClass, mean_of_present, ratio
from limner.metrics.surface_distance import surface_distances

COUNTS = ("cases", "missed_cases", "false_cases")
"""Numbers of cases."""

AVERAGES = ("case_dice", "hd95", "surface_distance", "surface_dice", "volume_difference")
"""Scores that are averaged over the cases."""

ROWS = (*COUNTS, *AVERAGES)
"""Names of the rows of `count_case`, in order: numbers of cases, then sums of scores."""

PARTS = 10**6
"""Sums are kept as integers in this part of a unit, so that they do not depend on the order of the cases."""


@dataclass(frozen=True)
class Ruler:
    """How to measure one case.

    Attributes:
        spacing: Distance between neighbours along each axis.
        tolerance: Distance within which surfaces count as equal, or None for the largest spacing.
        background: Class that is not measured, or None.
    """

    spacing: tuple[float, ...]
    tolerance: float | None = None
    background: int | None = None

    @property
    def least_error(self) -> float:
        """The tolerance; the largest spacing is an error of one voxel in any direction."""
        return max(self.spacing) if self.tolerance is None else self.tolerance


def count_case(truth: LabelArray, predicted: LabelArray, num_classes: int, ruler: Ruler) -> Counts:
    """Measure every class of one case.

    A class in neither truth nor prediction does not count; one that is in only one of them has a Dice and a
    surface Dice of 0, and the diagonal of the case as its distances. Ignored voxels are left out of both.

    Args:
        truth: (*S) uint8 or uint16, 0..K-1 or `ignored_in` it.
        predicted: (*S) of the same type, 0..K-1.
        num_classes: K.
        ruler: Spacing and tolerance.

    Returns:
        (8, K) int64, rows as in `ROWS`; scores in millionths.
    """
    assert truth.shape == predicted.shape, f"truth {truth.shape}, prediction {predicted.shape}"
    predicted = np.where(truth == ignored_in(truth), truth, predicted)
    diagonal = float(np.hypot.reduce(np.multiply(truth.shape, ruler.spacing)))
    axes = [axis for axis, side in enumerate(truth.shape) if side > 1]
    part = _foreground(truth, predicted, ruler.background)
    truth, predicted = truth[part], predicted[part]
    boxes = [_boxes(labels, num_classes) for labels in (truth, predicted)]
    rows: Counts = np.zeros((len(ROWS), num_classes), np.int64)
    for index, (true_box, found_box) in enumerate(zip(*boxes, strict=True)):
        if index == ruler.background or (true_box is None and found_box is None):
            continue
        box = _union(true_box, found_box)
        there, found = truth[box] == index, predicted[box] == index
        sizes = int(there.sum()), int(found.sum())
        difference = abs(sizes[0] - sizes[1]) * prod(ruler.spacing)
        scores = [0.0, diagonal, diagonal, 0.0]
        if all(sizes):
            apart = surface_distances(there, found, ruler.spacing, axes)
            dice = 2 * int((there & found).sum()) / sum(sizes)
            scores = [dice, apart.hd95, apart.average, apart.dice(ruler.least_error)]
        parts = np.rint(np.array([*scores, difference]) * PARTS).astype(np.int64)
        rows[:, index] = [1, not sizes[1], not sizes[0], *parts]
    return rows


@dataclass(frozen=True)
class CaseScores:
    """Scores averaged over the cases in which the class is in truth or prediction; NaN without such a case.

    Attributes:
        cases: (..., K) number of these cases.
        missed_cases: (..., K) cases whose class was not found at all.
        false_cases: (..., K) cases in which the class was found but is not in the truth.
        case_dice: (..., K) Dice of a case.
        hd95: (..., K) 95th percentile of the surface distances, in the unit of the spacing.
        surface_distance: (..., K) mean distance between the surfaces.
        surface_dice: (..., K) fraction of the surfaces within the tolerance.
        volume_difference: (..., K) absolute difference of the volumes.
    """

    cases: Counts
    missed_cases: Counts
    false_cases: Counts
    case_dice: PerClass
    hd95: PerClass
    surface_distance: PerClass
    surface_dice: PerClass
    volume_difference: PerClass

    def overall(self) -> dict[str, Overall]:
        """Return the means over the classes, each of which counts the same, by name."""
        return {f"mean_{name}": mean_of_present(values) for name, values in self.by_class().items()}

    def by_class(self) -> dict[str, PerClass]:
        """Return the (..., K) scores of the classes by name."""
        return {name: getattr(self, name) for name in AVERAGES}

    def counts(self) -> dict[str, Counts]:
        """Return the (K) numbers of cases by name."""
        return {name: getattr(self, name) for name in COUNTS}


def case_scores(counts: Counts) -> CaseScores:
    """Compute the scores from the rows of `count_case`, or a sum of them.

    Args:
        counts: (8, ..., K) int64.
    """
    # A single class is the truth and the prediction everywhere, which is no score.
    cases, missed, false, *sums = int(counts.shape[-1] > 1) * counts
    return CaseScores(cases, missed, false, *(ratio(total, cases * PARTS) for total in sums))


Box = tuple[slice, ...]


def _foreground(truth: LabelArray, predicted: LabelArray, background: int | None) -> Box:
    """Return the smallest box around what is not background in truth or prediction; all if none is."""
    if background is None:
        return (slice(None),) * truth.ndim
    shown, box = (truth != background) | (predicted != background), []
    for axis in range(truth.ndim):
        # The box so far is looked at only, so that the first axis is the only one that costs much.
        places = np.flatnonzero(shown.any(axis=tuple(a for a in range(truth.ndim) if a != axis)))
        side = slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(None)
        shown = shown[(slice(None),) * axis + (side,)]
        box.append(side)
    return tuple(box)


def _boxes(labels: LabelArray, num_classes: int) -> Sequence[Box | None]:
    """Return the smallest box around each class, or None for a class that does not occur."""
    from scipy.ndimage import find_objects  # prediction does without it

    # It skips 0: ignored pixels, whose value is the largest of their type, overflow to it.
    boxes: list[Box | None] = find_objects(labels + labels.dtype.type(1), num_classes)
    return boxes


def _union(one: Box | None, other: Box | None) -> Box:
    """Return the smallest box around both."""
    if one is None or other is None:
        box = one or other
        assert box is not None, "a class that occurs has a box"
        return box
    pairs = zip(one, other, strict=True)
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in pairs)
