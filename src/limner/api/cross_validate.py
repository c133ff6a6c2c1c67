"""`limner.cross_validate()`: a model for each fold; each image is scored by the one that has not seen it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.api.train import fit_and_score, noted, resume_run
from limner.core.errors import ConfigError, LimnerError, MissingPartsOfRunError, WriteError, describe
from limner.core.execution import Execution
from limner.core.progress import Track, silent
from limner.core.run_folder import RUNS, RunFolder
from limner.core.watchers import Watcher, Watchers
from limner.datasets.checked import CheckResult, check_dataset, with_other_splits
from limner.devices.processes import num_processes
from limner.preparation.folds import (
    FoldsFile,
    FoldsRequest,
    divide_into_folds,
    is_finished,
    is_trained,
    read_folds,
    records_of,
    refuse_other_images,
    request_for,
    scored_splits,
    splits_of_fold,
    write_folds,
)
from limner.preparation.planned import (
    GivenPlans,
    Planned,
    given_plans,
    plan_checked,
    settings_and_data,
    with_shorthands,
)
from limner.preparation.prepared_run import check_data_state, open_run, prepare_run
from limner.preparation.run_names import (
    is_half_prepared,
    named_run,
    next_free,
    refuse_among_images,
    refuse_taken,
    taken_names,
)
from limner.preparation.run_splits import is_scored
from limner.storage.folder_lock import locked_folder
from limner.storage.output_folder import make_output_folder, refuse_inside

FOLDS = 5
"""Usual number of folds."""


def cross_validate(
    data: str | Path,
    *,
    folds: int = FOLDS,
    group: str | None = None,
    seed: int = 0,
    run: str | Path | None = None,
    task: str | None = None,
    network: str | None = None,
    weights: str | Path | None = None,
    teacher: str | Path | None = None,
    unlabelled: str | Path | None = None,
    minutes: float | None = None,
    spatial: str | None = None,
    settings: dict[str, Any] | None = None,
    accept: bool = False,
    device: str = "auto",
    track: Track = silent,
    watchers: Sequence[Watcher] = (),
) -> RunFolder:
    """Train a model for each fold, and score every image once, by the model that was not trained on it.

    Training and validation images are divided into folds; test images stay apart, and are scored with the
    mean of all models. The same call continues a cross-validation that was interrupted.

    Args:
        data: A dataset folder, or a YAML file of settings that names one.
        folds: Number of folds.
        group: Regular expression; images whose paths contain the same match stay together, such as those of
            one patient.
        seed: Seed of the division.
        run: Folder of the cross-validation, or its name in ``runs/``; by default the newest unfinished one of
            the same request, else a new name.
        task: As in `train`, like the following.
        network: A name in `limner networks`.
        weights: Initial weights of every fold.
        teacher: A model whose outputs the networks learn besides the labels.
        unlabelled: Images without labels, as in `train`.
        minutes: Time budget for each fold.
        spatial: ``2d``, ``2.5d``, ``3d`` or ``auto``, for volumes.
        settings: Values of the plans to set, nested as in plan.yaml.
        accept: Accept the proposals of `check`.
        device: ``auto``, or a PyTorch device name.
        track: Shows the progress of preparation and evaluation.
        watchers: Observers of the runs.

    Returns:
        The folder: ``fold-1/`` etc. are the runs; ``evaluation/val`` has the scores of all images, and
        ``report.html`` is about all folds.

    Raises:
        DataError: As in `train`; or there are too few images or groups, or the images have changed.
        ConfigError: As in `train`; or the folder belongs to another request.
        TrainingError: Training had to stop; the same call continues it.
    """
    named = with_shorthands(
        settings,
        task=task,
        network=network,
        weights=weights,
        teacher=teacher,
        unlabelled=unlabelled,
        minutes=minutes,
        spatial=spatial,
    )
    wanted, place = settings_and_data(data, named)
    given = given_plans(wanted)
    request = request_for(place, folds, group, seed, wanted)
    work = _Work(_folder_for(request, run, data), request, given, Execution(device, track, watchers))
    return work.run(accept=accept, data_changed=False)


def resume_folds(folder: RunFolder, execution: Execution, *, data_changed: bool = False) -> RunFolder:
    """Continue a cross-validation, see `resume` of a run.

    Raises:
        DataError: The images have changed, or folds.json is damaged.
    """
    file = read_folds(folder)
    assert file is not None, "the folder has folds"
    wanted = dict(file.settings)
    given = given_plans(wanted)
    request = FoldsRequest(file.data, len(file.folds), file.group, file.seed, wanted)
    return _Work(folder, request, given, execution).run(accept=False, data_changed=data_changed)


@dataclass(frozen=True)
class _Work:
    """A cross-validation that is started or continued."""

    folder: RunFolder
    request: FoldsRequest
    given: GivenPlans
    execution: Execution

    def run(self, *, accept: bool, data_changed: bool) -> RunFolder:
        """Train the folds that are not trained yet, then score all images and write the report."""
        if num_processes() > 1:
            raise ConfigError("--folds trains in one process: start it without a launcher.")
        folder, place = self.folder, Path(self.request.data)
        refuse_inside(folder.root, place)
        checked = check_dataset(place, accept=accept, track=self.execution.track)
        file = read_folds(folder) or divide_into_folds(checked, self.request)
        refuse_other_images(file, checked, folder)
        make_output_folder(folder.root)
        with locked_folder(folder.root, what="limner train --folds"):
            write_folds(folder, file)
            for index in range(len(file.folds)):
                self._train(file, index, checked, data_changed=data_changed)
            self._score(file)
        return folder

    def _train(self, file: FoldsFile, index: int, checked: CheckResult, *, data_changed: bool) -> None:
        """Train a fold, or continue it, unless it is trained."""
        fold = self.folder.fold(index)
        what = f"Fold {index + 1} of {len(file.folds)}"
        if is_trained(fold):
            check_data_state(open_run(fold), accept=data_changed)
            self._say(f"{what} is trained already.")
        elif fold.plan.is_file() and not is_half_prepared(fold.root):
            self._say(f"{what} continues.")
            resume_run(fold, self.execution, data_changed=data_changed)
        else:
            self._say(f"{what}: {len(file.folds[index])} validation images")
            of_fold = with_other_splits(checked, splits_of_fold(file, index, records_of(checked)))
            prepared = prepare_run(self._planned(of_fold), fold.root, device=self.execution.device)
            fit_and_score(prepared, self.execution, resume=False)

    def _planned(self, of_fold: CheckResult) -> Planned:
        """Return the plan of a fold, which has no low-resolution stage."""
        settings, device = self.request.settings, self.execution.device
        plan = plan_checked(of_fold, settings, device, self.given, allow_cascade=False)
        return Planned(plan, of_fold, settings)

    def _score(self, file: FoldsFile) -> None:
        """Score every image by the model that was not trained on it, test images by all, and report."""
        from limner.api.evaluate import evaluate
        from limner.reporting import write_report

        folder, missing = self.folder, dict[str, WriteError]()
        for split in scored_splits(folder, file):
            if is_scored(folder, split):
                continue
            with noted(missing, f"evaluation/{split}"):
                evaluate(folder.root, split=split, device=self.execution.device, track=self.execution.track)
        with noted(missing, "report.html"):
            write_report(folder)
        if missing:
            fix = "Free some space, or make the folder writable; then the same command makes them."
            raise MissingPartsOfRunError(folder.root, missing, fix)

    def _say(self, message: str) -> None:
        Watchers(self.execution.watchers).say(message)


def _folder_for(request: FoldsRequest, run: str | Path | None, data: str | Path) -> RunFolder:
    """Return the named folder, the newest in ``runs/`` with an unfinished run of this request, or a new one.

    Raises:
        ConfigError: The named folder contains something else, or a run of another request.
        DataError: It is inside the dataset.
    """
    folder = _unfinished_or_new(request) if run is None else named_run(run)
    known = read_folds(folder)
    if known is None:
        refuse_taken(folder.root)
        refuse_among_images(folder.root, data)
    else:
        _refuse_other_request(folder, request.differences(known))
    return folder


def _unfinished_or_new(request: FoldsRequest) -> RunFolder:
    """Return the newest unfinished cross-validation of the same request in ``runs/``, else a new name."""
    stem = RUNS / Path(request.data).name
    begun = [RunFolder(path) for path in taken_names(stem) if _goes_on_with(request, RunFolder(path))]
    return begun[-1] if begun else RunFolder(next_free(stem))


def _goes_on_with(request: FoldsRequest, folder: RunFolder) -> bool:
    """Tell whether a folder has an unfinished cross-validation of the same request."""
    try:
        known = read_folds(folder)
        return known is not None and not request.differences(known) and not is_finished(folder, known)
    except LimnerError:
        return False  # damaged: not to be touched unless it is named


def _refuse_other_request(folder: RunFolder, differences: Sequence[str]) -> None:
    """Refuse to continue a cross-validation of other data or settings.

    Raises:
        ConfigError: The request differs.
    """
    if differences:
        raise ConfigError(
            describe(
                "The run's folder contains a cross-validation with other settings or data",
                where=folder.root,
                found="; ".join(differences),
                expected="the same data, folds and settings, to continue it",
                fix=f"Choose another --run, or continue it unchanged: limner train --resume {folder.root}",
            )
        )
