"""`limner.tune()`: learning-rate range test, or a search over settings."""

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from limner.core.config import merge
from limner.core.errors import ConfigError, DataError, describe
from limner.core.execution import Execution
from limner.core.progress import Track, silent
from limner.core.run_folder import RUNS, RunFolder
from limner.core.tuning import RateTest, Trial, Tuning
from limner.core.watchers import Watcher
from limner.planning.search.proposals import Proposer, best_proposer
from limner.planning.search.rounds import Round, plan_rounds, survivors
from limner.planning.search.space import Space, own_values, read_space
from limner.planning.settings import flatten, nest
from limner.preparation.planned import (
    Planned,
    given_plans,
    plan_checked,
    plan_data,
    settings_and_data,
    with_shorthands,
)
from limner.preparation.prepared_run import PreparedRun, check_data_state, open_run, prepare_run
from limner.preparation.run_names import refuse_among_images
from limner.reporting.tuning_page import render_recipe, write_tuning
from limner.storage.claimed_folder import claimed_folder
from limner.storage.failure_note import is_disk_error, note_problem
from limner.storage.filled_folder import filled_folder, own_files
from limner.storage.folder_lock import locked_folder
from limner.storage.json_files import write_json
from limner.storage.output_folder import refuse_inside
from limner.storage.user_paths import user_path
from limner.storage.whole_files import write_whole
from limner.tasks import find_task

Values = TypeVar("Values")

SETUP, TRIALS, RATES = "search.json", "trials.json", "rates.json"
"""Files of the request, the trials and the range test; a search resumes from the first two."""

NUM_TRIALS = 9
"""Number of candidates in a search; the best three are trained again for three times as long."""


def tune(
    data: str | Path,
    over: Sequence[str] = (),
    *,
    minutes: float | None = None,
    trials: int = NUM_TRIALS,
    out: str | Path | None = None,
    task: str | None = None,
    network: str | None = None,
    settings: dict[str, Any] | None = None,
    accept: bool = False,
    device: str = "auto",
    proposer: Proposer | None = None,
    track: Track = silent,
    watchers: Sequence[Watcher] = (),
) -> Tuning:
    """Test learning rates, or search over settings within a time budget.

    Another call with the same arguments continues an interrupted search.

    Args:
        data: A dataset folder, or a YAML file of settings that names one.
        over: Settings to search: ``KEY=LOW..HIGH``, ``KEY=A,B,C``, or ``KEY`` alone. If empty, learning
            rates are tested in one short run.
        minutes: Training time of the whole search, including validation.
        trials: Number of candidates in the first round.
        out: Folder for all files; defaults to ``runs/tune-DATA``.
        task: As in `train`.
        network: As in `plan`.
        settings: Values of the plan shared by all trials, nested as in plan.yaml.
        accept: Accept the proposals of `check`, by writing them to dataset.yaml.
        device: ``auto``, or a PyTorch device name.
        proposer: Proposes candidates; defaults to Optuna if installed, else to evenly spread points.
        track: Shows progress.
        watchers: Observers of the runs.

    Returns:
        The results; their `page`, `table`, `plot` and `recipe` are on disk.

    Raises:
        ConfigError: A setting is unknown, the time is too short, or the folder contains another search.
        DataError: The data has errors that prevent training, or no validation images.
        TrainingError: The range test had to stop, or the disk is full; the same call continues a search.
    """
    _check_search_options(over, minutes)
    execution = Execution(device, track, watchers)
    asked = with_shorthands(settings, task=task, network=network)
    refuse_among_images(None if out is None else user_path(out), data)
    planned = plan_data(data, asked, execution, accept=accept, allow_cascade=False)
    tuning = _begin(planned, out)
    if minutes is None:
        return _test_rates(tuning, planned, execution)
    wanted, _ = settings_and_data(data, asked)
    space = read_space(over, flatten(planned.plan))
    proposer = proposer or best_proposer(planned.plan.train.seed)
    search = _Search(tuning, planned, wanted=wanted, space=space, proposer=proposer, execution=execution)
    return search.run(trials, minutes, asked={"over": list(over), "settings": wanted})


def _check_search_options(over: Sequence[str], minutes: float | None) -> None:
    if over and minutes is None:
        raise ConfigError("Specify the training time of the whole search, such as --minutes 60.")
    if minutes is not None and not over:
        raise ConfigError(
            "--minutes is the time of a search: specify what to search, such as "
            "--over optimizer.learning_rate. Without --over learning rates are tested in 100 steps."
        )


def _begin(planned: Planned, out: str | Path | None) -> Tuning:
    """Return the state of tuning in a folder."""
    plan = planned.plan
    default = RUNS / f"tune-{Path(plan.data.path).resolve().name}"
    root = default if out is None else user_path(out)
    refuse_inside(root, plan.data.path)
    return Tuning(
        root,
        data=plan.data.path,
        score_name=find_task(plan.task).main_score(plan.data.label_table),
        rate_test=_read(root / RATES, lambda values: RateTest(**values), None),
        trials=_read(root / TRIALS, lambda rows: tuple(Trial(**values) for values in rows), ()),
        num_images=len(planned.checked.splits.get("val", ())),
    )


def _test_rates(tuning: Tuning, planned: Planned, execution: Execution) -> Tuning:
    """Test learning rates, in a folder with other files or with a search."""
    from limner.loading.training_dataset import training_dataset
    from limner.training.rate_test import run_rate_test

    plan, checked = planned.plan, planned.checked
    records = checked.splits["train"]
    table, targets = plan.data.label_table, find_task(plan.task).targets
    dataset = training_dataset(checked.source, records, table, plan.input, targets=targets)
    own = [tuning.root / RATES, tuning.page, tuning.plot, tuning.table]
    has_search = (tuning.root / SETUP).is_file()  # then everything in the folder is limner's
    folder: AbstractContextManager[object] = (
        locked_folder(tuning.root, what="limner tune")
        if has_search
        else filled_folder(tuning.root, by="tune", files=own)
    )
    with folder:
        found = run_rate_test(plan, train=dataset, device=execution.device, track=execution.track)
        write_json(tuning.root / RATES, asdict(found))
        tuning = replace(tuning, rate_test=found)
        write_tuning(tuning)
    return tuning


def _read(path: Path, parse: Callable[[Any], Values], otherwise: Values) -> Values:
    """Return the stored results of an earlier call, or `otherwise` if there are none.

    Raises:
        DataError: The file is damaged.
    """
    if not path.is_file():
        return otherwise
    try:
        return parse(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise DataError(
            describe(
                "The results of an earlier `limner tune` cannot be read",
                where=path,
                found=f"{type(error).__name__}: {error}",
                fix="Delete the file, so that its results are computed again, or choose another --out.",
            )
        ) from None


class _Search:
    """Trains candidates in rounds; results are written after each trial."""

    def __init__(
        self,
        tuning: Tuning,
        planned: Planned,
        *,
        wanted: dict[str, Any],
        space: Space,
        proposer: Proposer,
        execution: Execution,
    ) -> None:
        self._tuning = tuning
        self._planned = planned
        self._wanted = wanted
        self._space = space
        self._proposer = proposer
        self._execution = execution

    def run(self, num_trials: int, minutes: float, *, asked: dict[str, Any]) -> Tuning:
        rounds = plan_rounds(num_trials, minutes)
        if not self._tuning.num_images:
            raise ConfigError("A search compares validation scores, and this data has no validation images.")
        asked = {"data": self._tuning.data, "minutes": minutes, "trials": num_trials, **asked}
        root = self._tuning.root
        with claimed_folder(root, SETUP, asked, what="search", besides=own_files(root, by="tune")):
            self._run_rounds(rounds)
        return self._tuning

    def _run_rounds(self, rounds: Sequence[Round]) -> None:
        before: list[Trial] = []
        for number, planned in enumerate(rounds, start=1):
            candidates = survivors(before, planned.num_trials)
            done: list[Trial] = []
            for place in range(1, (len(candidates) if before else planned.num_trials) + 1):
                known = candidates[place - 1] if before else None
                candidate = place if known is None else known.candidate
                settings = self._settings(place, done) if known is None else known.settings
                done.append(self._trial(Trial(number, place, candidate, planned.minutes, settings)))
            before = done

    def _settings(self, number: int, done: list[Trial]) -> dict[str, Any]:
        """Return a new candidate; the first is the unchanged plan, as the baseline."""
        if number == 1:
            return own_values(flatten(self._planned.plan), self._space)
        return self._proposer.propose(self._space, number - 1, done)

    def _trial(self, trial: Trial) -> Trial:
        """Run a trial, or resume it."""
        same = [t for t in self._tuning.trials if (t.round, t.number) == (trial.round, trial.number)]
        if same and same[0].is_done:
            return same[0]
        trial = same[0] if same else trial
        self._save(trial)
        run = RunFolder(self._tuning.run_of(trial))
        try:
            trial = self._train(trial, run)
        except Exception as error:  # a failing trial must not stop the others
            if is_disk_error(error):  # no failure of its settings: the next call repeats it
                raise
            trial = replace(trial, problem=note_problem(run, error))
        self._save(trial)
        _clear(run)
        return trial

    def _train(self, trial: Trial, run: RunFolder) -> Trial:
        from limner.training.fit_run import fit_run

        has_started = run.checkpoints.is_dir() and any(run.checkpoints.iterdir())
        prepared = open_run(run) if has_started else self._prepared(trial, run)
        check_data_state(prepared)
        found = fit_run(prepared, self._execution, resume=has_started)
        if found.best_score is None:
            return replace(trial, problem="no validation gave a score", steps=found.steps)
        return replace(trial, score=found.best_score, steps=found.steps)

    def _prepared(self, trial: Trial, run: RunFolder) -> PreparedRun:
        """Plan a trial on the already checked data."""
        if run.root.exists():
            shutil.rmtree(run.root)  # no checkpoint yet
        device = self._execution.device
        own = merge(nest(trial.settings), {"train": {"minutes": trial.minutes}})
        wanted = merge(self._wanted, own)
        given = given_plans(wanted)
        plan = plan_checked(self._planned.checked, wanted, device, given, allow_cascade=False)
        return prepare_run(replace(self._planned, plan=plan), run.root.absolute(), device=device)

    def _save(self, trial: Trial) -> None:
        """Store a trial, and write all results so far."""
        others = [t for t in self._tuning.trials if (t.round, t.number) != (trial.round, trial.number)]
        trials = sorted([*others, trial], key=lambda t: (t.round, t.number))
        self._tuning = replace(self._tuning, trials=tuple(trials))
        write_json(self._tuning.root / TRIALS, [asdict(t) for t in trials])
        if self._tuning.best is not None:
            best = merge(self._wanted, nest(self._tuning.best.settings))
            write_whole(self._tuning.recipe, render_recipe(self._tuning, best))
            write_tuning(self._tuning, method=self._proposer.name)


def _clear(run: RunFolder) -> None:
    """Remove the checkpoints of a finished trial, which is never resumed; the model stays."""
    from limner.training.checkpoints import Checkpoints

    Checkpoints(run).remove()
