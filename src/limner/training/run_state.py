"""Where a run stands, apart from tensors: what a checkpoint needs beside the weights."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class RunState:
    """Numbers that change while training; all are plain JSON values.

    Attributes:
        step: Optimizer steps done.
        seconds: Seconds of training so far.
        accumulate: Parts a batch is cut into; grows when memory runs out.
        best_score: Highest validation score, or None before the first.
        best_step: Step of `best_score`.
        stale: Validations since the best score.
        drops: Times the plateau schedule has dropped the rate.
        stale_since_drop: Validations without a better score since the last drop.
        validated_step: Step of the last validation, or -1.
        validation_seconds: Time of all validations; with `final_seconds`, of the last one.
        final_seconds: Time of the last validation.
        tracker_id: Names the run in outside trackers, so that a resumed run goes on in the same place.
        window: Name -> values since the last logged step, so that a resumed log is the same.
        scaler: State of the float16 gradient scaler.
    """

    step: int = 0
    seconds: float = 0.0
    accumulate: int = 1
    best_score: float | None = None
    best_step: int = -1
    stale: int = 0
    drops: int = 0
    stale_since_drop: int = 0
    validated_step: int = -1
    validation_seconds: float = 0.0
    final_seconds: float = 0.0
    tracker_id: str = ""
    window: dict[str, list[float]] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    def judge(self, score: float, *, patience: int) -> bool:
        """Take in a validation score, and say whether it is the best so far.

        Args:
            score: Higher is better; a score that is not a number is never the best.
            patience: Validations without a better score before the plateau schedule drops the rate.
        """
        self.validated_step = self.step
        if not math.isnan(score) and (self.best_score is None or score > self.best_score):
            self.best_score, self.best_step = score, self.step
            self.stale = self.stale_since_drop = 0
            return True
        self.stale += 1
        self.stale_since_drop += 1
        if self.stale_since_drop >= patience:
            self.drops += 1
            self.stale_since_drop = 0
        return False

    def is_stale(self, early_stopping: int | None) -> bool:
        """Say whether training should stop for want of a better score."""
        return early_stopping is not None and self.stale >= early_stopping
