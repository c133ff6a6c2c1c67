"""The training loop: steps until the budget is spent, with validation and checkpoints."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from limner.core.batch import Batch
from limner.core.errors import StoppedBySignal
from limner.core.plan import Plan
from limner.core.run_folder import RunFolder
from limner.core.watchers import Moment, Watcher
from limner.devices.device import synchronize
from limner.devices.memory import peak_bytes
from limner.devices.threads import ThreadCount
from limner.loading.loader import BatchStream
from limner.planning.rules.optimization import WARMUP_PART
from limner.planning.run_length import for_steps
from limner.planning.settings import dotted
from limner.storage.disk_problems import disk_problem
from limner.tasks import find_task
from limner.training.budget import Budget
from limner.training.checkpoints import Checkpoints, RunCheckpoint, refuse_another_plan
from limner.training.compile_trial import CompileTrial
from limner.training.finite import bad_batch_path, broken_weights_error, non_finite_error, save_batch
from limner.training.interruption import Interruption
from limner.training.learner import Learner
from limner.training.process_watch import ProcessWatch
from limner.training.run_state import RunState
from limner.training.schedules import learning_rate_factor
from limner.training.step_log import BadStep, StepLog
from limner.weights.model import Model

LOG_EVERY = 10
"""Steps between two log rows; the loop waits for an accelerator only then."""

EARLY_LOGS = (1, 2, 5)
"""Additional logged steps, so that a slow run shows a loss early."""

SAVE_SECONDS = 1800.0
"""How long writing a checkpoint may take, on a slow disk, before its process counts as hanging."""

Value = TypeVar("Value")

Batches = Callable[[int], BatchStream]
"""Function of the first step that yields this process's endless batches."""


class Validator(Protocol):
    """Scores a model on the validation images."""

    def scores(self, model: Model) -> dict[str, float]:
        """Return every score by name."""
        ...

    def estimate_seconds(self, model: Model) -> float:
        """Estimate how long `scores` takes, in seconds."""
        ...


@dataclass(frozen=True)
class Outcome:
    """Result of the loop.

    Attributes:
        state: State of the run.
        scores: Scores of the last validation in this process, by name; empty without one.
        stopped_early: Whether the scores instead of the budget ended the run.
    """

    state: RunState
    scores: dict[str, float]
    stopped_early: bool


class Loop:
    """Trains a learner on batches until the plan's budget is spent.

    Args:
        learner: The learner to train.
        state: State of the run.
        plan: Duration, intervals and schedule.
        run: Folder for checkpoints and bad batches.
        accelerator: Rank and number of processes.
        batches: Source of training batches.
        validator: Scores a model; None without validation images.
        watcher: Observer; does nothing except in the main process.
        budget: Length of the run.
        watch: Told where this process is; None for a process alone.
    """

    def __init__(
        self,
        learner: Learner,
        *,
        state: RunState,
        plan: Plan,
        run: RunFolder,
        accelerator: Accelerator,
        batches: Batches,
        validator: Validator | None,
        watcher: Watcher,
        budget: Budget,
        watch: ProcessWatch | None = None,
    ) -> None:
        self._learner = learner
        self._plan = plan
        self._run = run
        self._accelerator = accelerator
        self._batches = batches
        self._validator = validator
        self._watcher = watcher
        self._budget = budget
        self._watch = watch or ProcessWatch(run.root)
        self._checkpoints = Checkpoints(run)
        self.state = state
        self._log = StepLog(state.window, check_gradient=plan.train.precision != "float16")
        self._scores: dict[str, float] = {}
        self._rate_factor = 1.0
        is_alone_on_cpu = accelerator.device.type == "cpu" and accelerator.num_processes == 1
        self._threads = ThreadCount() if is_alone_on_cpu else None
        self._trial = self._compile_trial()
        self._progress = 0.0
        self._mark = 0.0

    def start(self, checkpoint: RunCheckpoint | None = None, *, remark: str = "") -> None:
        """Restore the state from a checkpoint, if there is one, and notify the watcher.

        Args:
            checkpoint: The checkpoint whose state was passed to this loop.
            remark: Message for the user about it.

        Raises:
            ConfigError: The plan differs from the one the checkpoint was trained with.
        """
        if checkpoint is not None:
            refuse_another_plan(checkpoint, self._plan, where=self._run.root)
            self._learner.load(checkpoint)
            self._follow(self.state.expected_steps)
            if self._threads is not None and self.state.threads:
                self._threads.use(min(self.state.threads, self._threads.most))
            self._budget.resume(self.state)
            if self.state.best_step == self.state.step and self._accelerator.is_main_process:
                # The run may have been killed between writing `last` and linking it as `best`.
                self._checkpoints.repair_best(self.state.step)
        self._advance()
        settings = self._plan.model_dump(mode="json", exclude={"reasons"})
        self._watcher.start(self._moment(), dotted(settings))
        if remark:
            self._watcher.say(remark)

    def run(self) -> Outcome:
        """Train to the end; the run can be resumed from disk at any time."""
        with Interruption() as interruption, self._batches(self.state.step) as batches:
            self._mark = time.perf_counter()
            while not self._is_over():
                self._watch.at_batch_of(self.state.step + 1)
                batch = next(batches)
                self._watch.at_step(self.state.step + 1)
                self._step(batch, waited=batches.wait_seconds)
                before = self._progress
                self._advance()
                self._watcher.step(self._moment())
                self._run_periodic(before)
                if self._threads is not None and self._threads.follow():
                    self._watcher.say(self._threads.said())
                requested = self._in_any_process(interruption.requested or 0)
                if requested:
                    self._stop_gracefully(requested)
        return self._finish()

    def _step(self, batch: Batch, *, waited: float) -> None:
        """Train on one batch."""
        number, factor = self.state.step + 1, self._factor()
        result = self._learner.gradients(
            batch,
            step=number,
            factor=factor,
            before_exchange=lambda: self._watch.at_exchange_of(number),
        )
        self._log.add(number, result, learning_rate=factor * self._plan.optimizer.learning_rate)
        if self._accelerator.device.type == "cpu":
            self._flush_step_log()  # no need to wait, so catch a bad step before the weights change
        self._learner.apply(step=number)
        self.state.step = number
        if self._trial is not None:
            synchronize(self._learner.device)
        now = time.perf_counter()
        seconds, self._mark = now - self._mark, now
        self._log.add_times(data_seconds=waited, step_seconds=seconds)
        if self._trial is not None:
            self._follow_trial(self._trial, seconds)

    def _compile_trial(self) -> CompileTrial | None:
        """Return the trial that `train.compile` asks for, unless it has ended before a resume.

        A sharded model is never compiled: it would be cut at every block, whose weights are gathered between.
        """
        is_fixed = self._plan.train.compile is not None or self._learner.is_sharded
        if is_fixed or self._learner.device.type == "cpu":
            return None
        if self.state.compiled is not None:
            self._learner.compile(self.state.compiled)
            return None
        return CompileTrial(switch=self._compile, seconds_left=self._seconds_left, agree=self._value_of_main)

    def _compile(self, wanted: bool) -> None:  # noqa: FBT001 - what a trial calls
        self._watch.expect_slow_steps()
        self._learner.compile(wanted)

    def _follow_trial(self, trial: CompileTrial, seconds: float) -> None:
        """Continue the trial with the time of the last step."""
        said = trial.add(seconds)
        if trial.decision is not None:
            self.state.compiled, self._trial = trial.decision, None
        if said is not None:
            self._watcher.say(said)
        self._mark = time.perf_counter()

    def _seconds_left(self, step_seconds: float) -> float:
        """Return the seconds that the run still takes, given those of a step."""
        train = self._plan.train
        if train.minutes is not None:
            return train.minutes * 60 - self._budget.seconds
        return (train.steps - self.state.step) * step_seconds

    def _advance(self) -> None:
        """Update the progress and notify layers that depend on it."""
        self._progress = self._sync_from_main(self._budget.progress(self.state.step))
        self._learner.set_progress(self._progress)
        # After the warm-up, a run with a time budget counts on its own speed.
        if self._budget.is_timed and not self.state.expected_steps and self._progress >= WARMUP_PART:
            self._follow(max(round(self.state.step / self._progress), 1))

    def _follow(self, expected_steps: int) -> None:
        """Adapt settings to the expected number of steps; 0 keeps those for the estimate of the plan."""
        self.state.expected_steps = expected_steps
        if expected_steps:
            followed = for_steps(self._plan, expected_steps)
            self._rate_factor = followed.optimizer.learning_rate / self._plan.optimizer.learning_rate
            self._learner.set_average_decay(followed.train.ema_decay)

    def _run_periodic(self, before: float) -> None:
        """Log, validate and save if due after a step."""
        train, step = self._plan.train, self.state.step
        if self._validator is not None and self._sync_from_main(self._budget.wants_estimate):
            with self._learner.evaluating() as model:
                self._budget.expect_validation(self._validator.estimate_seconds(model))
        if step % LOG_EVERY == 0 or step in EARLY_LOGS:
            self._write_log()
        validates, saves = (
            self._budget.is_due(every, step=step, before=before, after=self._progress)
            for every in (train.validate_every, train.save_every)
        )
        is_best = validates and self._sync_from_main(self._budget.may_validate()) and self._validate()
        if is_best or saves:
            self._save(is_best=is_best)
        self._mark = time.perf_counter()  # exclude this from the next step's time

    def _finish(self) -> Outcome:
        """Write the remaining log, score the last weights, and save."""
        self._write_log()
        if self.state.validated_step != self.state.step:
            self._save(is_best=self._validate())
        else:
            self._save(is_best=False)
        self._learner.compile(False)  # what follows predicts images of any size
        stale = self.state.is_stale(self._plan.train.early_stopping)
        return Outcome(self.state, self._scores, stopped_early=stale and self._progress < 1)

    def _validate(self) -> bool:
        """Score the evaluation model, and return whether it is the best so far."""
        if self._validator is None:
            return False
        started = self._budget.seconds
        with self._learner.eager(), self._learner.evaluating() as model:
            self._scores = self._validator.scores(model)
        score = self._scores[find_task(self._plan.task).main_score(self._learner.model.labels)]
        self._budget.validated(self._budget.seconds - started)
        shown = {f"val/{name}": value for name, value in self._scores.items()}
        self._watcher.log(self.state.step, self._budget.seconds, shown)
        return self.state.judge(score, patience=self._plan.schedule.patience)

    def _save(self, *, is_best: bool) -> None:
        """Write a checkpoint in the main process while the others wait.

        Raises:
            TrainingError: A weight is not finite; the checkpoint before stays.
        """
        self._flush_step_log()
        broken = self._learner.broken_tensors()
        if broken:
            raise broken_weights_error(
                broken, step=self.state.step, run=self._run, precision=self._plan.train.precision
            )
        self.state.seconds = self._budget.seconds
        self.state.progress = self._progress
        self.state.final_seconds = self._budget.final_seconds
        self.state.validation_seconds = self._budget.validation_seconds
        self.state.accumulate = self._learner.accumulate
        self.state.threads = 0 if self._threads is None else self._threads.count
        self.state.window = self._log.values
        self.state.scaler = self._learner.scaler_state()
        self._watch.at("writing a checkpoint", allowed=SAVE_SECONDS)
        tensors = self._learner.tensors()
        if self._accelerator.is_main_process:
            self._watcher.flush()
            self._checkpoints.save(tensors, self.state, self._plan)
            if is_best:
                self._checkpoints.keep_as_best()
        self._watch.at("the end of a checkpoint", allowed=SAVE_SECONDS)
        self._accelerator.wait_for_everyone()

    def _write_log(self) -> None:
        self._flush_step_log()
        means = self._log.take_means()
        if means:
            self._watcher.log(self.state.step, self._budget.seconds, means)

    def _flush_step_log(self) -> None:
        """Read the pending step results, and stop if one of them is not finite."""
        bad = self._log.read_pending()
        if bad is not None:
            self._stop_for(bad)

    def _stop_for(self, bad: BadStep) -> None:
        # Batches are a function of the step, so a bad one from earlier steps can be recreated.
        with self._batches(bad.step - 1) as batches:
            batch = next(batches)
        path = bad_batch_path(self._run.root, bad.step, process=self._accelerator.process_index)
        saved: Path | None = path
        try:
            save_batch(path, batch)
        except OSError as error:
            self._watcher.say(f"The bad batch could not be saved: {disk_problem(error)}")
            saved = None
        raise non_finite_error(batch, bad, saved=saved, precision=self._plan.train.precision)

    def _stop_gracefully(self, signal: int) -> None:
        self._save(is_best=False)
        self._watcher.say(
            f"Stopped after step {self.state.step}, as requested. "
            f"Continue with: limner train --resume {self._run.root}"
        )
        raise StoppedBySignal(signal)

    def _in_any_process(self, signal: int) -> int:
        """Return the signal that any process received, in all of them; 0 for none.

        On accelerators the processes ask each other only at steps at which they wait for the device anyway.
        """
        if self._accelerator.num_processes == 1:
            return signal
        device = self._accelerator.device
        if device.type != "cpu" and self.state.step % LOG_EVERY:
            return 0
        return int(self._accelerator.gather(torch.tensor([signal], device=device)).max())

    def _is_over(self) -> bool:
        # Even if the time budget is already spent, do one step, so that there is a model.
        return (self._progress >= 1 and self.state.step > 0) or self.state.is_stale(
            self._plan.train.early_stopping
        )

    def _factor(self) -> float:
        warmup = self._plan.schedule.warmup_steps / self._plan.train.steps
        factor = learning_rate_factor(
            self._plan.schedule, self._progress, warmup_part=warmup, drops=self.state.drops
        )
        return factor * self._rate_factor

    def _moment(self) -> Moment:
        steps = self._plan.train.steps
        if self._budget.is_timed and self._progress > 0:  # a coarse clock may not move in the first step
            steps = max(self.state.step, round(self.state.step / self._progress))
        memory = peak_bytes(self._accelerator.device)
        return Moment(self.state.step, steps, self._progress, self._budget.seconds, memory)

    def _sync_from_main(self, value: Value) -> Value:
        """Return the main process's value: values that depend on the clock differ between processes."""
        return self._value_of_main(value) if self._budget.is_timed else value

    def _value_of_main(self, value: Value) -> Value:
        """Return the main process's value."""
        if self._accelerator.num_processes == 1:
            return value
        values = [value]
        broadcast_object_list(values)
        return values[0]
