"""Content of a run's files, as used by the sections of the page."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from limner.core.finding import Finding
from limner.core.labels import LabelTable
from limner.core.plan import Plan
from limner.core.score_names import Shown, shown
from limner.drawing.colors import class_colors
from limner.evaluation.scores_file import ScoresFile
from limner.reporting.numbers import plural
from limner.tasks import first_shown


@dataclass(frozen=True)
class Series:
    """One curve of metrics.csv; the three tuples have the same length."""

    steps: tuple[float, ...]
    seconds: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def best(self) -> tuple[float, float]:
        """The highest value and the first step that reached it; NaN if no value is finite."""
        finite = [(v, s) for v, s in zip(self.values, self.steps, strict=True) if math.isfinite(v)]
        return max(finite, key=lambda pair: pair[0], default=(math.nan, math.nan))


@dataclass(frozen=True)
class ScoredImage:
    """One image of one split.

    Attributes:
        name: Its name.
        scores: Score name -> value over all classes, or None; the score that images are sorted by is first.
        by_class: Of volumes, and images with known spacing: score name -> class -> value, or None.
    """

    name: str
    scores: dict[str, float | None]
    by_class: dict[str, dict[str, float | None]] = field(default_factory=dict)

    @property
    def rank(self) -> float | None:
        """The score that images are sorted by: the first; None if the image has no such score."""
        return next(iter(self.scores.values()), None)


@dataclass(frozen=True)
class Evaluation:
    """An evaluated split.

    Attributes:
        split: Name of the split.
        file: Content of scores.json.
        images: From the lowest score to the highest, then those without a score.
        pictures: Paths of the pictures.
        curves: Column of thresholds.csv -> values; empty without that file.
        class_curves: Class -> column of class_curves.csv -> values; empty without that file.
        speed: Content of speed.json.
    """

    split: str
    file: ScoresFile
    images: tuple[ScoredImage, ...] = ()
    pictures: tuple[Path, ...] = ()
    curves: dict[str, tuple[float, ...]] = field(default_factory=dict)
    class_curves: dict[str, dict[str, tuple[float, ...]]] = field(default_factory=dict)
    speed: dict[str, Any] = field(default_factory=dict)

    def shown(self, least: Shown) -> list[str]:
        """Return the names of the scores over all classes to show, the main one first."""
        return shown(self.file.scores, least=least, first=self._first)

    @property
    def main(self) -> tuple[str, float | None] | None:
        """Name and value of the main score; the value is None if it is undefined on these images."""
        measured = self.file.scores
        name = next((n for n in (*self._first, *self.shown(Shown.LISTED)) if n in measured), None)
        return None if name is None else (name, measured[name])

    @property
    def _first(self) -> tuple[str, ...]:
        return first_shown(self.file.task, self.file.class_names)


@dataclass(frozen=True)
class RunFacts:
    """Everything that could be read from a run; missing parts are None or empty.

    Attributes:
        root: The run folder.
        plan: Every setting.
        findings: Findings of check; None if the data was not checked.
        series: Curves by name.
        evaluations: Test first, then validation, then the others.
        data_changes: How the data changed while the run was interrupted, in sentences.
        environment: Versions, machine and command, as they were written.
        model: Content of model.json.
        unscored: Splits whose scores are missing, or whose evaluation was interrupted.
        unreadable: File name -> why it could not be read.
        is_foreign: Whether it is the log of another program, which has curves only.
        logged: Facts that such a log states, as name -> text.
        folds: The runs of a cross-validation; plan, findings and environment are those of the first.
    """

    root: Path
    plan: Plan | None = None
    findings: tuple[Finding, ...] | None = None
    series: dict[str, Series] = field(default_factory=dict)
    evaluations: tuple[Evaluation, ...] = ()
    data_changes: tuple[str, ...] = ()
    environment: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    unscored: tuple[str, ...] = ()
    unreadable: dict[str, str] = field(default_factory=dict)
    is_foreign: bool = False
    logged: dict[str, str] = field(default_factory=dict)
    folds: "tuple[RunFacts, ...]" = ()

    @property
    def evaluation(self) -> Evaluation | None:
        """The evaluation that the summary is about."""
        return self.evaluations[0] if self.evaluations else None

    @property
    def seconds(self) -> float | None:
        """Training time according to the curves; None if they have no times."""
        ends = [s.seconds[-1] for s in self.series.values() if s.seconds]
        return max(filter(math.isfinite, ends), default=None)

    @property
    def steps(self) -> int | None:
        """The last step in metrics.csv."""
        return max((int(s.steps[-1]) for s in self.series.values() if s.steps), default=None)

    @property
    def device(self) -> str:
        """The training device in words; empty if environment.json does not name it."""
        name, threads = self.environment.get("device_name"), self.environment.get("threads")
        if not isinstance(name, str):
            return ""
        if self.environment.get("device") == "cpu" and isinstance(threads, int):
            return f"{name}, {plural(threads, 'thread')}"
        return name

    @property
    def samples_per_step(self) -> int | None:
        """Number of samples in a step, of all processes together; None if there is no plan."""
        noted, processes = (self.environment.get(name) for name in ("samples_per_step", "processes"))
        if self.plan is None or isinstance(noted, int):
            return noted if isinstance(noted, int) else None
        # In runs of earlier versions each process had a batch of its own.
        return self.plan.train.batch_size * (processes if isinstance(processes, int) else 1)

    @property
    def validation(self) -> tuple[str, Series] | None:
        """Name and curve of the main validation score, or None if there was no validation."""
        plan, curves = self.plan, self.validation_curves
        first = () if plan is None else first_shown(plan.task, plan.data.label_table.names)
        name = next(iter(shown(curves, least=Shown.LISTED, first=first)), None)
        return None if name is None else (name, self.series[f"val/{name}"])

    @property
    def validation_curves(self) -> dict[str, tuple[float, ...]]:
        """Score name -> its values on the validation images during training."""
        return {n.removeprefix("val/"): s.values for n, s in self.series.items() if n.startswith("val/")}

    @property
    def label_table(self) -> LabelTable | None:
        """Label table of the plan; None without a plan."""
        return None if self.plan is None else self.plan.data.label_table

    @cached_property  # a page asks once for each class
    def colors(self) -> dict[str, str]:
        """Class name -> CSS colour, as in the pictures."""
        table = self.label_table
        if table is None:
            return {}
        return {name: "rgb({} {} {})".format(*color) for name, color in class_colors(table).items()}
