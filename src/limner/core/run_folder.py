"""Where each thing of a run lies on disk; names only, nothing is read or written here."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run and the paths inside it."""

    root: Path

    @property
    def plan(self) -> Path:
        """Every setting, each decision with its reason."""
        return self.root / "plan.yaml"

    @property
    def findings(self) -> Path:
        """What check found."""
        return self.root / "findings.json"

    @property
    def splits(self) -> Path:
        """Which record is in which split, so that a resumed or evaluated run sees the same images."""
        return self.root / "splits.json"

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
        """Versions, machine and the exact command, as JSON."""
        return self.root / "environment.json"

    @property
    def started_from(self) -> Path:
        """The weights that the training started from and what became of them, as JSON; not in every run."""
        return self.root / "started_from.json"

    @property
    def checkpoints(self) -> Path:
        """`last` and `best`, complete for resuming."""
        return self.root / "checkpoints"

    @property
    def model(self) -> Path:
        """The deliverable: weights, plan and labels."""
        return self.root / "model"

    def evaluation(self, split: str) -> Path:
        """Scores, per-image scores and pictures of one split."""
        return self.root / "evaluation" / split

    @property
    def report(self) -> Path:
        """One self-contained page."""
        return self.root / "report.html"
