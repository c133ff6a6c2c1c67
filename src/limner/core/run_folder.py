"""Paths inside a run folder; no disk access here."""

from dataclasses import dataclass
from pathlib import Path

RUNS = Path("runs")
"""Folder of the runs, in the folder in which commands are started."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run and the paths inside it."""

    root: Path

    @property
    def plan(self) -> Path:
        """The plan: every setting, with reasons."""
        return self.root / "plan.yaml"

    @property
    def findings(self) -> Path:
        """Findings of the checks."""
        return self.root / "findings.json"

    @property
    def splits(self) -> Path:
        """The records of each split, so that a resumed or evaluated run uses the same images."""
        return self.root / "splits.json"

    @property
    def data_state(self) -> Path:
        """Sizes, times and hashes of the images and labels of each split, as they were at the beginning."""
        return self.root / "data.json"

    @property
    def data_changes(self) -> Path:
        """Changes of the data with which the run went on, as JSON; not in every run."""
        return self.root / "data_changes.json"

    @property
    def metrics(self) -> Path:
        """Scores and losses by step, as CSV."""
        return self.root / "metrics.csv"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files."""
        return self.root / "tb"

    @property
    def environment(self) -> Path:
        """Versions, machine and the full command, as JSON."""
        return self.root / "environment.json"

    @property
    def started_from(self) -> Path:
        """The initial weights and which of them were loaded, as JSON; not in every run."""
        return self.root / "started_from.json"

    @property
    def teacher(self) -> Path:
        """The teacher, its licence and the hash of its weights, as JSON; not in every run."""
        return self.root / "teacher.json"

    @property
    def pseudo_labels(self) -> Path:
        """Predicted labels of unlabelled images that are learned; not in every run."""
        return self.root / "pseudo_labels"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints `last` and `best`, with everything needed to resume."""
        return self.root / "checkpoints"

    @property
    def model(self) -> Path:
        """The model folder: weights, plan and labels."""
        return self.root / "model"

    @property
    def low_resolution(self) -> "RunFolder":
        """The run of the low-resolution stage of a cascade; not in every run."""
        return RunFolder(self.root / "low_resolution")

    def evaluation(self, split: str) -> Path:
        """Scores, per-image scores and pictures of one split."""
        return self.root / "evaluation" / split

    @property
    def folds(self) -> Path:
        """The folds of a cross-validation, as JSON; only in the folder that contains their runs."""
        return self.root / "folds.json"

    def fold(self, index: int) -> "RunFolder":
        """Return the run of a fold of a cross-validation, counted from 0."""
        return RunFolder(self.root / f"fold-{index + 1}")

    @property
    def report(self) -> Path:
        """The report, one self-contained page."""
        return self.root / "report.html"
