"""What every scorer is; validation and evaluation use the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from limner.core.sample import Sample


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
