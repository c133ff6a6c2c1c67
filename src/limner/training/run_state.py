"""State of a run other than tensors: what a checkpoint stores beside the weights."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class RunState:
    """Values that change during training; all are plain JSON values.

    Attributes:
        step: Number of optimizer steps done.
        seconds: Seconds of training so far.
        progress: Fraction of the run that is done, in [0, 1].
        accumulate: Number of parts a batch is split into; grows when memory runs out.
        best_score: Highest validation score, or None before the first.
        best_step: Step of `best_score`.
        stale: Number of validations since the best score.
        drops: Number of times that the plateau schedule has reduced the learning rate.
        stale_since_drop: Number of validations without a better score since the last drop.
        validated_step: Step of the last validation, or -1.
        validation_seconds: Time of all validations.
        final_seconds: Time of the last validation.
        expected_steps: With a time budget, the number of steps expected at the end of the warm-up, for which
            learning rate and weight average were decided again; 0 before.
        threads: Number of threads that computed the last step on a CPU; 0 elsewhere.
        compiled: Whether the trial of `train.compile` found that compiling pays; None before its end.
        samples_per_step: Number of samples in a step, of all processes together; 0 in checkpoints of earlier
            versions, where each process had a batch of its own.
        tracker_id: Id of the run in external trackers, so that a resumed run continues there.
        window: Name -> values since the last logged step, so that the log of a resumed run is identical.
        scaler: State of the float16 gradient scaler.
    """

    step: int = 0
    seconds: float = 0.0
    progress: float = 0.0
    accumulate: int = 1
    best_score: float | None = None
    best_step: int = -1
    stale: int = 0
    drops: int = 0
    stale_since_drop: int = 0
    validated_step: int = -1
    validation_seconds: float = 0.0
    final_seconds: float = 0.0
    expected_steps: int = 0
    threads: int = 0
    compiled: bool | None = None
    samples_per_step: int = 0
    tracker_id: str = ""
    window: dict[str, list[float]] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    def judge(self, score: float, *, patience: int) -> bool:
        """Record a validation score, and return whether it is the best so far.

        Of equal scores the last counts, since its weights are trained longest: where few images are scored,
        or no object is found yet, many are equal. It is no improvement, though.

        Args:
            score: Higher is better; NaN is never the best.
            patience: Number of validations without a better score before the plateau schedule reduces the
                rate.
        """
        self.validated_step = self.step
        is_better = not math.isnan(score) and (self.best_score is None or score > self.best_score)
        is_best = is_better or score == self.best_score
        if is_best:
            self.best_score, self.best_step = score, self.step
        if is_better:
            self.stale = self.stale_since_drop = 0
            return True
        self.stale += 1
        self.stale_since_drop += 1
        if self.stale_since_drop >= patience:
            self.drops += 1
            self.stale_since_drop = 0
        return is_best

    def is_stale(self, early_stopping: int | None) -> bool:
        """Return whether training should stop because the score no longer improves."""
        return early_stopping is not None and self.stale >= early_stopping
