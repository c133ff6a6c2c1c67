"""What the files of a run say, as the sections of the page need it."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limner.core.finding import Finding
from limner.core.labels import LabelTable
from limner.core.plan import Plan
from limner.drawing.colors import class_colors
from limner.reporting.numbers import plural

OVERALL_NAMES = {
    "foreground_dice": "Foreground Dice",
    "mean_iou": "Mean IoU",
    "mean_dice": "Mean Dice",
    "pixel_accuracy": "Pixel accuracy",
    "frequency_weighted_iou": "Frequency-weighted IoU",
    "mean_boundary_iou": "Mean boundary IoU",
    "mean_boundary_f1": "Mean boundary F1",
    "ap": "Mask AP",
    "ap50": "Mask AP50",
    "ap75": "Mask AP75",
    "box_ap": "Box AP",
    "pq": "Panoptic quality (PQ)",
    "sq": "Segmentation quality (SQ)",
    "rq": "Recognition quality (RQ)",
    "pq_things": "PQ of things",
    "pq_stuff": "PQ of stuff",
    "f1": "F1 at IoU 0.5",
    "f1_75": "F1 at IoU 0.75",
}
"""The scores over a whole split, in the order they are shown, and what they are called."""


def in_sentence(name: str) -> str:
    """Return what a score is called inside a sentence: ``mean IoU``."""
    words = OVERALL_NAMES[name]
    is_word = words[1].islower()  # and no abbreviation, such as PQ
    return words[0].lower() + words[1:] if is_word else words


def by_importance(num_classes: int) -> tuple[str, ...]:
    """Return the scores, that which stands for the whole first.

    With one class against a background that is the Dice of the foreground, as in medicine; with more
    classes the mean IoU, as for scenes.
    """
    first = "foreground_dice" if num_classes <= 2 else "mean_iou"
    return (first, *(name for name in OVERALL_NAMES if name != first))


@dataclass(frozen=True)
class Series:
    """One curve of metrics.csv; the three have one length."""

    steps: tuple[float, ...]
    seconds: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def best(self) -> tuple[float, float]:
        """The highest value and the first step that reached it; nan where no value is finite."""
        finite = [(v, s) for v, s in zip(self.values, self.steps, strict=True) if math.isfinite(v)]
        return max(finite, key=lambda pair: pair[0], default=(math.nan, math.nan))


@dataclass(frozen=True)
class ClassScores:
    """One class of one split; None where a score is not defined, such as for an absent class."""

    name: str
    iou: float | None
    dice: float | None
    precision: float | None
    recall: float | None
    pixels: int
    predicted_pixels: int
    boundary_iou: float | None = None
    boundary_f1: float | None = None
    own: dict[str, float | None] = field(default_factory=dict)
    """Of other tasks than label maps: score or count by its name in scores.json."""


@dataclass(frozen=True)
class ImageScores:
    """One image of one split."""

    name: str
    foreground_dice: float | None
    mean_iou: float | None
    own: tuple[str, float | None] | None = None
    """Of other tasks than label maps: name and value of the score that images are ordered by."""

    @property
    def rank(self) -> float | None:
        """The score that images are ordered by: foreground Dice, or mean IoU where that is missing."""
        if self.own is not None:
            return self.own[1]
        return self.mean_iou if self.foreground_dice is None else self.foreground_dice


@dataclass(frozen=True)
class Spread:
    """One score over the images that have it, each image scored alone."""

    num_images: int
    mean: float | None
    median: float | None
    percentile_5: float | None
    mean_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Thresholds:
    """One class of two at every threshold.

    Attributes:
        class_name: Whose probability is looked at.
        numbers: Name -> value: areas, calibration error, best threshold and its Dice.
        reliability: (mean probability, part that is the class) of each bin.
        curves: Column of thresholds.csv -> values; empty where that file is missing.
    """

    class_name: str
    numbers: dict[str, float | None]
    reliability: tuple[tuple[float, float], ...]
    curves: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Matches:
    """How segments match true ones.

    Attributes:
        ious: From which a found segment is the true one.
        f1: At each of them; the following two too.
        precision: Part of the found ones that are true.
        recall: Part of the true ones that were found.
        pairs: Range of IoU, and how many pairs have it.
        count_error: Segments too many or too few in an image, on average.
        count_bias: The same with its sign.
    """

    ious: tuple[float, ...]
    f1: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    pairs: tuple[tuple[float, float, int], ...]
    count_error: float | None
    count_bias: float | None


@dataclass(frozen=True)
class Evaluation:
    """One split that was evaluated.

    Attributes:
        split: Its name.
        num_images: Images that were scored.
        classes: In trained order.
        overall: Score name -> value over the whole split; None where not defined.
        confusion: Pixels by [truth][prediction], or None where it was not written.
        definitions: Score name -> one sentence.
        images: From the lowest score to the highest; those without a score stand last.
        pictures: The pictures that were drawn.
        intervals: Score name -> 95 % bootstrap interval.
        spreads: Score name -> its spread over the images.
        thresholds: Curves and calibration, where they were evaluated.
        speed: What speed.json says.
        matches: Of objects and panoptic segments, how they match.
    """

    split: str
    num_images: int
    classes: tuple[ClassScores, ...]
    overall: dict[str, float | None]
    confusion: tuple[tuple[int, ...], ...] | None
    definitions: dict[str, str]
    images: tuple[ImageScores, ...] = ()
    pictures: tuple[Path, ...] = ()
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    spreads: dict[str, Spread] = field(default_factory=dict)
    thresholds: Thresholds | None = None
    speed: dict[str, Any] = field(default_factory=dict)
    matches: Matches | None = None

    @property
    def is_of_segments(self) -> bool:
        """Whether objects or panoptic segments were scored, rather than label maps."""
        return any(row.own for row in self.classes)

    @property
    def main(self) -> tuple[str, float] | None:
        """The name and value of the score that stands for the whole, or None where there is none."""
        for name in by_importance(len(self.classes)):
            value = self.overall.get(name)
            if value is not None:
                return name, value
        return None


@dataclass(frozen=True)
class RunFacts:
    """Everything that could be read of a run; what is missing is None or empty.

    Attributes:
        root: The run folder.
        plan: Every setting.
        findings: What check found; None where nobody checked.
        series: The curves by name.
        evaluations: Test first, then validation, then the others.
        environment: Versions, machine and command, in whatever shape they were written.
        model: What model.json says.
        unreadable: File name -> why it could not be read.
    """

    root: Path
    plan: Plan | None = None
    findings: tuple[Finding, ...] | None = None
    series: dict[str, Series] = field(default_factory=dict)
    evaluations: tuple[Evaluation, ...] = ()
    environment: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def evaluation(self) -> Evaluation | None:
        """The evaluation the page opens with."""
        return self.evaluations[0] if self.evaluations else None

    @property
    def seconds(self) -> float | None:
        """How long training took, as metrics.csv knows."""
        return max((s.seconds[-1] for s in self.series.values() if s.seconds), default=None)

    @property
    def steps(self) -> int | None:
        """The last step that metrics.csv knows."""
        return max((int(s.steps[-1]) for s in self.series.values() if s.steps), default=None)

    @property
    def device(self) -> str:
        """What the run trained on, in words; empty where environment.json does not say."""
        name, threads = self.environment.get("device_name"), self.environment.get("threads")
        if not isinstance(name, str):
            return ""
        if self.environment.get("device") == "cpu" and isinstance(threads, int):
            return f"{name}, {plural(threads, 'thread')}"
        return name

    @property
    def num_processes(self) -> int:
        """How many processes trained together, each with a batch of its own."""
        number = self.environment.get("processes")
        return number if isinstance(number, int) else 1

    @property
    def validation(self) -> tuple[str, Series] | None:
        """Name and curve of the main validation score, or None where nothing was validated."""
        num_classes = 2 if self.plan is None else len(self.plan.data.labels["classes"])
        for name in by_importance(num_classes):
            if f"val/{name}" in self.series:
                return name, self.series[f"val/{name}"]
        return None

    @property
    def label_table(self) -> LabelTable | None:
        """Which mask value means which class; None without a plan."""
        return None if self.plan is None else self.plan.data.label_table

    @property
    def colors(self) -> dict[str, str]:
        """Class name -> CSS colour, the one that the pictures show."""
        table = self.label_table
        if table is None:
            return {}
        return {name: "rgb({} {} {})".format(*color) for name, color in class_colors(table).items()}
