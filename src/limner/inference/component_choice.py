"""Choice of the classes of which only the largest connected part is kept, by the validation cases.

Shape legend: K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limner.core.label_map import LabelMap
from limner.core.labels import LabelArray, LabelTable
from limner.core.plan import Decision, Plan
from limner.core.wording import count_words
from limner.decoding.largest_component import keep_largest
from limner.inference.predictor import Predictor
from limner.loading.dataset import Dataset
from limner.metrics.confusion import count_pairs

KEY = "inference.largest_component"

LEAST_GAIN = 0.0005
"""Minimum gain in mean Dice: half of the last digit that is shown."""

_MOST_SHOWN = 8


def chooses_components(plan: Plan, labels: LabelTable) -> bool:
    """Return whether validation decides: for volumes with a background, unless the user has decided."""
    undecided = plan.inference.largest_component is None
    return plan.input.takes_volumes and undecided and labels.background_index is not None


def choose_components(predictor: Predictor, cases: Dataset) -> Decision:
    """Decide by the mean Dice of each class over the cases, with all its parts and with the largest alone.

    Args:
        predictor: The trained model, which keeps all parts.
        cases: The validation cases, each of which is predicted once.
    """
    labels = predictor.labels
    background = labels.background_index
    assert background is not None, "removed parts become background"
    classes = [index for index in range(labels.num_classes) if index != background]
    before, after = [], []
    for case in (cases[index] for index in range(len(cases))):
        truth = case.get(LabelMap)
        assert truth is not None, "label maps are compared with label maps"
        found = predictor.predict_sample(case).semantic
        cleaned = keep_largest(found, classes, background=background)
        before.append(_dice(truth.labels, found, labels.num_classes))
        after.append(_dice(truth.labels, cleaned, labels.num_classes))
    gains = [
        gain
        for index in classes
        if (gain := _Gain.of(labels.names[index], before, after, index)).after - gain.before >= LEAST_GAIN
    ]
    return Decision(KEY, tuple(gain.name for gain in gains), _reason(gains, len(cases)))


@dataclass(frozen=True)
class _Gain:
    """The mean Dice of a class over the cases that have it, by truth or prediction; NaN if none has."""

    name: str
    before: float
    after: float

    @classmethod
    def of(
        cls,
        name: str,
        before: Sequence[npt.NDArray[np.float64]],
        after: Sequence[npt.NDArray[np.float64]],
        index: int,
    ) -> "_Gain":
        means = []
        for dice in (before, after):
            values = np.array([case[index] for case in dice])
            known = values[~np.isnan(values)]
            means.append(float(known.mean()) if known.size else float("nan"))
        return cls(name, *means)


def _dice(truth: LabelArray, predicted: LabelArray, num_classes: int) -> npt.NDArray[np.float64]:
    """Return (K,) the Dice of each class in one case; NaN if it is in neither."""
    counts = count_pairs(truth, predicted, num_classes)
    total = (counts.sum(0) + counts.sum(1)).astype(np.float64)
    total[total == 0] = np.nan
    dice: npt.NDArray[np.float64] = 2 * np.diag(counts) / total
    return dice


def _reason(gains: Sequence[_Gain], num_cases: int) -> str:
    cases = count_words(num_cases, "validation case")
    if not gains:
        return f"in {cases}, keeping only the largest part raises the mean Dice of no class"
    shown = [f"{gain.name} {gain.before:.3f} to {gain.after:.3f}" for gain in gains[:_MOST_SHOWN]]
    rest = len(gains) - len(shown)
    named = ", ".join(shown) + (f", and {rest} more" if rest else "")
    return f"in {cases}, keeping only the largest part raises the mean Dice: {named}"
