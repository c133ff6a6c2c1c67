"""`limner.tune()`: learning-rate range test, or a search over settings."""

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any, TypeVar

from limner.api.shared_trials import WORK, Line, helping, run_trials
from limner.api.shared_work import refuse_count
from limner.core.config import merge
from limner.core.errors import ConfigError, DataError, describe
from limner.core.execution import Execution
from limner.core.progress import Track, silent
from limner.core.run_folder import RUNS, RunFolder
from limner.core.tuning import RateTest, Trial, Tuning
from limner.core.watchers import Watcher
from limner.devices.shared_machine import devices_of, shared_machine
from limner.planning.search.proposals import EXPLORE, Proposer, best_proposer
from limner.planning.search.rounds import KEPT, Round, plan_rounds, survivors
from limner.planning.search.space import Space, own_values, read_space
from limner.planning.settings import flatten, nest
from limner.preparation.planned import (
    Planned,
    given_plans,
    plan_checked,
    plan_data,
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
from limner.storage.unfinished import SHARED
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
    processes: int | None = None,
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
        processes: Number of processes here that share the trials of a search, each of them on a device of its
            own, or with a part of the cores; also with those of the same call on other hosts that see `out`.
            The same call also continues. None for one process that works alone.
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
    _check_search_options(over, minutes, processes)
    devices = devices_of(device, processes or 1)
    execution = Execution(devices[0], track, watchers)
    asked = with_shorthands(settings, task=task, network=network)
    refuse_among_images(None if out is None else user_path(out), data)
    with shared_machine(len(devices)):
        planned = plan_data(data, asked, execution, accept=accept, allow_cascade=False)
        tuning = _begin(planned, out)
        if minutes is None:
            return _test_rates(tuning, planned, execution)
        space = read_space(over, flatten(planned.plan))
        proposer = proposer or best_proposer(planned.plan.train.seed)
        kind: type[_Search] = _Search if processes is None else _SharedSearch
        search = kind(tuning, planned, space=space, proposer=proposer, execution=execution)
        given: dict[str, Any] = {"minutes": minutes, "trials": trials, "task": task, "network": network}
        given |= {"settings": settings, "processes": 1, "proposer": proposer}
        join = partial(tune, data, tuple(over), out=tuning.root, **given)
        with helping(join, devices, execution):
            return search.run(trials, minutes, asked={"over": list(over), "settings": planned.settings})


def _check_search_options(over: Sequence[str], minutes: float | None, processes: int | None) -> None:
    refuse_count(processes)
    if over and minutes is None:
        raise ConfigError("Specify the training time of the whole search, such as --minutes 60.")
    if minutes is not None and not over:
        raise ConfigError(
            "--minutes is the time of a search: specify what to search, such as "
            "--over optimizer.learning_rate. Without --over learning rates are tested in 100 steps."
        )
    if processes is not None and not over:
        raise ConfigError(
            "--processes shares the trials of a search. Omit it, or specify --over and --minutes."
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

    is_shared = False

    def __init__(
        self,
        tuning: Tuning,
        planned: Planned,
        *,
        space: Space,
        proposer: Proposer,
        execution: Execution,
    ) -> None:
        self._tuning = tuning
        self._planned = planned
        self._space = space
        self._proposer = proposer
        self._execution = execution

    def run(self, num_trials: int, minutes: float, *, asked: dict[str, Any]) -> Tuning:
        rounds = plan_rounds(num_trials, minutes)
        if not self._tuning.num_images:
            raise ConfigError("A search compares validation scores, and this data has no validation images.")
        asked = {"data": self._tuning.data, "minutes": minutes, "trials": num_trials, **asked}
        asked |= SHARED if self.is_shared else {}
        root = self._tuning.root
        besides = own_files(root, by="tune")
        with claimed_folder(root, SETUP, asked, what="search", besides=besides, is_shared=self.is_shared):
            self._run_rounds(rounds)
        return self._tuning

    def _run_rounds(self, rounds: Sequence[Round]) -> None:
        before: list[Trial] = []
        for number, planned in enumerate(rounds, start=1):
            known = survivors(before, planned.num_trials)
            count = len(known) if before else planned.num_trials
            at_once = count if before or not self._proposer.uses_scores else self._num_at_once(count)
            done: list[Trial] = []
            while len(done) < count:
                trials = []
                for place in range(len(done) + 1, min(len(done) + at_once, count) + 1):
                    candidate = known[place - 1].candidate if before else place
                    settings = known[place - 1].settings if before else self._settings(place, done)
                    trials.append(Trial(number, place, candidate, planned.minutes, settings))
                done += self._run_trials(trials)
            before = done

    def _num_at_once(self, count: int) -> int:
        """Return the number of candidates that are proposed before the first of them is trained."""
        return 1

    def _run_trials(self, trials: Sequence[Trial]) -> list[Trial]:
        """Run trials, or resume them."""
        return [self._trial(trial) for trial in trials]

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
        self._save([trial])
        trial = self._tried(trial)
        self._save([trial])
        self._clear(trial)
        return trial

    def _tried(self, trial: Trial) -> Trial:
        """Train a trial, and return it with its score, or with its problem."""
        run = RunFolder(self._tuning.run_of(trial))
        try:
            return self._train(trial, run)
        except Exception as error:  # a failing trial must not stop the others
            if is_disk_error(error):  # no failure of its settings: the next call repeats it
                raise
            return replace(trial, problem=note_problem(run, error))

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
        wanted = merge(self._planned.settings, own)
        given = given_plans(wanted)
        plan = plan_checked(self._planned.checked, wanted, device, given, allow_cascade=False)
        return prepare_run(replace(self._planned, plan=plan), run.root.absolute(), device=device)

    def _save(self, trials: Sequence[Trial]) -> None:
        """Store trials, and write all results so far."""
        found = {(trial.round, trial.number): trial for trial in (*self._tuning.trials, *trials)}
        self._tuning = replace(self._tuning, trials=tuple(found[place] for place in sorted(found)))
        write_json(self._tuning.root / TRIALS, [asdict(trial) for trial in self._tuning.trials])
        if self._tuning.best is not None:
            best = merge(self._planned.settings, nest(self._tuning.best.settings))
            write_whole(self._tuning.recipe, render_recipe(self._tuning, best))
            write_tuning(self._tuning, method=self._proposer.name)

    def _clear(self, trial: Trial) -> None:
        """Remove the checkpoints of a finished trial, which is never resumed; the model stays."""
        from limner.training.checkpoints import Checkpoints

        Checkpoints(RunFolder(self._tuning.run_of(trial))).remove()


class _SharedSearch(_Search):
    """Trains the trials that no other process has; each process writes the results that it knows."""

    is_shared = True

    def _num_at_once(self, count: int) -> int:
        return max(EXPLORE, ceil(count / KEPT))

    def _run_trials(self, trials: Sequence[Trial]) -> list[Trial]:
        """Run trials together with the other processes."""
        name = f"{trials[0].round}-{trials[0].number}"
        lines = run_trials(
            self._tuning.root / WORK / name,
            {"trials": f"{len(trials)} of round {trials[0].round}, from {trials[0].number}"},
            [[json.dumps(asdict(trial))] for trial in trials],
            lambda row: asdict(self._tried(Trial(**json.loads(row[0])))),
            by="tune",
            after=self._note,
        )
        found = [Trial(**line) for line in lines]
        self._save(found)
        return found

    def _note(self, own: Line, lines: list[Line]) -> None:
        """Store all trials so far, and remove the checkpoints of the one that this process has trained."""
        self._save([Trial(**line) for line in (own, *lines)])
        self._clear(Trial(**own))
