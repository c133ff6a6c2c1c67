"""Interface of scorers, which validation and evaluation share."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, nan
from typing import Any, Protocol

from limner.core.errors import ConfigError
from limner.core.sample import Sample


class ImageScores(Protocol):
    """The scores of one image."""

    @property
    def name(self) -> str:
        """The record's name."""
        ...

    @property
    def rank(self) -> float:
        """The score that images are ordered by, from worst to best; NaN if undefined."""
        ...

    @property
    def numbers(self) -> Sequence[float | str]:
        """One value for each of the scorer's columns: counts are integers, classes their names."""
        ...


@dataclass(frozen=True)
class PictureGroup:
    """Images of a split to draw: those with the lowest keys.

    Attributes:
        name: Start of the file names, such as ``worst``.
        key: Function of the scores of an image; images where it is NaN do not belong to the group.
    """

    name: str
    key: Callable[[Any], float]


WORST_AND_BEST = (
    PictureGroup("worst", lambda scores: float(scores.rank)),
    PictureGroup("best", lambda scores: -float(scores.rank)),
)
"""The images with the lowest and those with the highest scores."""

MISTAKES_AND_HITS = (
    PictureGroup("mistake", lambda scores: nan if scores.is_right else -float(scores.confidence)),
    PictureGroup("hit", lambda scores: float(scores.confidence) if scores.is_right else nan),
)
"""Of classes of whole images: the most confident mistakes, and the least confident hits."""

PICTURE_TITLES = {
    "worst": "Lowest scores",
    "best": "Highest scores",
    "mistake": "Most confident mistakes",
    "hit": "Least confident hits",
}
"""Name of a group -> its title."""


class Scores(Protocol):
    """The scores of a whole dataset."""

    @property
    def num_images(self) -> int:
        """Number of scored images."""
        ...

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield score name -> value, as validation logs them."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return the content of scores.json without the split; JSON-ready except for NaN."""
        ...


class Scorer(Protocol):
    """Accumulates scores of predictions against the truth, one image at a time."""

    @property
    def rank_title(self) -> str:
        """Name of the score that images are ordered by."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the values of an image's scores in per_image.csv; the first is the rank."""
        ...

    @property
    def num_images(self) -> int:
        """Number of scored images."""
        ...

    def score(self, prediction: Any, sample: Sample) -> ImageScores:  # noqa: ANN401 - of the scorer's task
        """Add one image, and return its scores."""
        ...

    def merge(self, other: Any) -> None:  # noqa: ANN401 - of the same class
        """Add the counts of another scorer of the same classes."""
        ...

    def compute(self) -> Scores:
        """Return the scores of all images so far."""
        ...


@dataclass(frozen=True)
class Extent:
    """Additional measurements.

    Attributes:
        boundaries: Boundary scores of label maps, which take about 40 times as long as counting pixels.
        thresholds: Foreground scores of label maps at every threshold; needs probabilities and two classes.
        uncertainty: Distributions of scores over the images, and confidence intervals.
        maps: Maps of right and wrong pixels of label maps, as files.
        cases: Scores of each case in millimetres, or in pixels where the spacing is unknown.
        tolerance: Distance within which surfaces count as equal; None is the largest spacing of each case.
        case_of: Case of each image that is a slice of a volume, by its name; of label maps.

    Raises:
        ConfigError: The tolerance is below 0 or not finite.
    """

    boundaries: bool = False
    thresholds: bool = False
    uncertainty: bool = False
    maps: bool = False
    cases: bool = False
    tolerance: float | None = None
    case_of: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.tolerance is not None and not 0 <= self.tolerance < inf:
            raise ConfigError(f"--tolerance is a distance of 0 or more; found {self.tolerance}.")


USUAL = Extent()
