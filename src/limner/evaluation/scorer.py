"""What every scorer is, and which one a task has; validation and evaluation use the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from limner.core.errors import ConfigError
from limner.core.labels import LabelTable
from limner.core.sample import Sample
from limner.evaluation.instance_scorer import InstanceScorer
from limner.evaluation.panoptic_scorer import PanopticScorer
from limner.evaluation.semantic_scorer import SemanticScorer


class ImageScores(Protocol):
    """The scores of one image."""

    @property
    def name(self) -> str:
        """The record's name."""
        ...

    @property
    def rank(self) -> float:
        """The score that images are ordered by, from worst to best; NaN where there is none."""
        ...

    @property
    def numbers(self) -> Sequence[float]:
        """One number for each of the scorer's columns; counts are whole numbers."""
        ...


class Scores(Protocol):
    """The scores of a whole dataset."""

    @property
    def num_images(self) -> int:
        """How many images were counted."""
        ...

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield score name -> value, as validation logs them."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return what scores.json holds beside the split: JSON-ready but for NaN."""
        ...


class Scorer(Protocol):
    """Adds up predictions against truth, one image at a time."""

    rank_title: str
    """What the score is called that images are ordered by."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What each number of an image's scores is, as per_image.csv names it; the first is the rank."""
        ...

    @property
    def num_images(self) -> int:
        """How many images were counted."""
        ...

    def score(self, prediction: Any, sample: Sample) -> ImageScores:  # noqa: ANN401 - of the scorer's task
        """Count one image, and return its own scores."""
        ...

    def merge(self, other: Any) -> None:  # noqa: ANN401 - of the same class
        """Add what another scorer of the same classes has counted."""
        ...

    def compute(self) -> Scores:
        """Return the scores of everything counted so far."""
        ...


@dataclass(frozen=True)
class Extent:
    """What is measured beyond the usual.

    Attributes:
        boundaries: Outlines of label maps too, which takes about forty times as long as counting pixels.
        thresholds: The foreground of label maps at every threshold; needs probabilities and two classes.
        uncertainty: How scores spread over the images, and how far chance may move them.
    """

    boundaries: bool = False
    thresholds: bool = False
    uncertainty: bool = False


USUAL = Extent()


def build_scorer(task: str, labels: LabelTable, extent: Extent = USUAL) -> Scorer:
    """Return a fresh scorer of a task of `TASKS`.

    Raises:
        ConfigError: Outlines or thresholds are asked of another task than label maps, or thresholds of more
            than two classes.
    """
    if task == "semantic":
        return SemanticScorer(
            labels,
            boundaries=extent.boundaries,
            thresholds=extent.thresholds,
            uncertainty=extent.uncertainty,
        )
    for option, wanted in (("boundaries", extent.boundaries), ("thresholds", extent.thresholds)):
        if wanted:
            raise ConfigError(
                f"--{option} measures the label maps of the semantic task; this model's task is {task!r}. "
                f"Leave --{option} out."
            )
    scorers: dict[str, type[InstanceScorer] | type[PanopticScorer]] = {
        "instance": InstanceScorer,
        "panoptic": PanopticScorer,
    }
    return scorers[task](labels, uncertainty=extent.uncertainty)


def selection_name(task: str, labels: LabelTable) -> str:
    """Return the name of the score that says which weights are best.

    For objects it is the AP of masks, for panoptic segmentation the PQ over all classes. For label maps with
    one class beside the background it is the pooled foreground Dice, which the background cannot flatter;
    with more classes the mean IoU, in which every class counts the same.
    """
    if task != "semantic":
        return {"instance": "ap", "panoptic": "pq"}[task]
    one_against_background = labels.num_classes == 2 and labels.background_index is not None
    return "foreground_dice" if one_against_background else "mean_iou"
