"""Scores of volumes whose slices are images of their own: the slices of a case are counted together.

Shape legend: K classes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from limner.core.labels import LabelTable
from limner.metrics.confusion import Counts, PerClass, mean_of_present, scores_of_sums


@dataclass(frozen=True)
class SliceCaseScores:
    """Scores of cases, each of which counts the same.

    Attributes:
        sums: Case -> (3, K) its pixels that are right, in the truth, and in the prediction.
        num_slices: Case -> number of its images.
        background: Class that is not measured, or None.
    """

    sums: Mapping[str, Counts]
    num_slices: Mapping[str, int]
    background: int | None

    def by_class(self) -> dict[str, PerClass]:
        """Return the (K) mean over the cases that have the class in truth or prediction; NaN without one."""
        dice = np.stack([scores_of_sums(*self._measured(sums)).dice for sums in self.sums.values()])
        return {"case_dice": mean_of_present(dice.T)}

    def counts(self) -> dict[str, Counts]:
        """Return the (K) numbers of cases with the class, of those that miss it, and of those without it."""
        there, found = np.stack([self._measured(sums)[1:] > 0 for sums in self.sums.values()], axis=1)
        return {
            "cases": (there | found).sum(0),
            "missed_cases": (there & ~found).sum(0),
            "false_cases": (~there & found).sum(0),
        }

    def overall(self) -> dict[str, float]:
        """Return the mean over the classes, each of which counts the same."""
        return {f"mean_{name}": float(mean_of_present(values)) for name, values in self.by_class().items()}

    def rows(self, labels: LabelTable) -> Iterator[list[str | int | float]]:
        """Yield the header of `per_case.csv`, then a row for each case: name, slices, and scores by class."""
        kinds = ("iou", "dice")
        yield ["case", "slices", "mean_iou", *(f"{kind}/{name}" for kind in kinds for name in labels.names)]
        for case, sums in sorted(self.sums.items()):
            scores = scores_of_sums(*sums)
            numbers = map(float, (scores.mean_iou, *scores.iou, *scores.dice))
            yield [case, self.num_slices[case], *numbers]

    def _measured(self, sums: Counts) -> Counts:
        """Return sums without those of the background."""
        kept = np.ones(sums.shape[1], np.int64)
        if self.background is not None:
            kept[self.background] = 0
        return np.asarray(sums * kept)


class SliceCases:
    """Adds up the pixels of the slices of each case.

    Args:
        case_of: Case of each image that is a slice, by its name.
    """

    def __init__(self, case_of: Mapping[str, str]) -> None:
        self._case_of = case_of
        self._sums: dict[str, Counts] = {}
        self._num_slices: dict[str, int] = {}

    def update(self, name: str, sums: Counts) -> None:
        """Add an image; it is left out if it is no slice.

        Args:
            name: Its name.
            sums: (3, K) its pixels that are right, in the truth, and in the prediction.
        """
        case = self._case_of.get(name)
        if case is not None:
            self._add(case, sums, 1)

    def merge(self, other: "SliceCases") -> None:
        """Add the images of another device."""
        for case, sums in other._sums.items():
            self._add(case, sums, other._num_slices[case])

    def compute(self, background: int | None) -> SliceCaseScores | None:
        """Return the scores of all images so far, or None if none is a slice."""
        return SliceCaseScores(dict(self._sums), dict(self._num_slices), background) if self._sums else None

    def _add(self, case: str, sums: Counts, slices: int) -> None:
        self._sums[case] = self._sums.get(case, np.zeros_like(sums)) + sums
        self._num_slices[case] = self._num_slices.get(case, 0) + slices
