"""`limner.train()`: a trained and scored model from labelled images."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.core.affine import spacing_text
from limner.core.errors import ConfigError, MissingPartsOfRunError, WriteError
from limner.core.execution import Execution
from limner.core.progress import Track, silent
from limner.core.run_folder import RunFolder
from limner.core.watchers import Watcher, Watchers
from limner.devices.processes import (
    is_first_process,
    is_restarted,
    join_slurm_step,
    num_processes,
    wait_for,
)
from limner.preparation.cascade_runs import prepare_cascade
from limner.preparation.planned import plan_data, with_shorthands
from limner.preparation.prepared_run import (
    PreparedRun,
    check_data_state,
    is_of_this_command,
    open_run,
    prepare_run,
)
from limner.preparation.run_names import named_run, refuse_among_images, refuse_taken
from limner.preparation.run_splits import SCORED
from limner.storage.unfinished import remove_record
from limner.storage.user_paths import user_path

if TYPE_CHECKING:
    from torch import nn


def train(
    data: str | Path,
    *,
    run: str | Path | None = None,
    task: str | None = None,
    network: "str | nn.Module | None" = None,
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
    """Check the data, plan the run, train, and score the model on its validation and test images.

    Args:
        data: A dataset folder, or a YAML file of settings that names one (a recipe, or a run's plan.yaml).
        run: Folder of the run, or its name in ``runs/``; None chooses a new name.
        task: A row of `TASKS`, such as ``instance``; defaults to that of `weights`, or the usual one of the
            labels and the network.
        network: A name in `limner networks`, or a custom module that returns `DenseLogits`, or
            `CentreOffsets` for objects; for one that returns `QueryMasks`, also set ``network.name`` to
            ``mask2former``.
        weights: Initial weights: a model folder, a run, or another project's checkpoint, as read by
            `limner import`. Weights of classes with the same name are loaded, the others are initialised.
        teacher: A model folder, a run or a checkpoint of the same task and classes, whose outputs the network
            learns besides the labels.
        unlabelled: Images without labels, with `weights`: the run also learns what the weights predict there
            with confidence; for the task semantic.
        minutes: Time budget for training, including validation.
        spatial: For volumes, ``2d`` trains on slices, ``2.5d`` on slices with their neighbours as channels,
            and ``3d`` on volumes; ``auto``, the default, chooses.
        settings: Values of the plan to set, nested as in plan.yaml.
        accept: Accept the proposals of `check`, by writing them to dataset.yaml.
        device: ``auto``, or a PyTorch device name.
        track: Shows the progress of preparation and evaluation.
        watchers: Observers of the run.

    Returns:
        The run folder: plan, findings, checkpoints, model, scores and report.

    Raises:
        DataError: The data has errors that prevent training, which the message lists, or the run would be
            inside it.
        ConfigError: A setting is unknown or out of range, or the run folder already exists.
        ModelError: The initial weights cannot be read.
        TrainingError: Training had to stop; `resume` continues it.
        MissingPartsOfRunError: The model is trained, but scores or the report could not be written.
    """
    join_slurm_step()
    name, module = _name_and_module(network, weights)
    wanted = with_shorthands(
        settings,
        task=task,
        network=name,
        weights=weights,
        teacher=teacher,
        unlabelled=unlabelled,
        minutes=minutes,
        spatial=spatial,
    )
    execution = Execution(device, track, watchers)
    if run is not None and is_restarted() and is_of_this_command(named_run(run)):
        return resume_run(named_run(run), execution, network=module)
    prepared = _prepared(data, wanted, run, execution, accept=accept, network=module)
    fit_and_score(prepared, execution, resume=False)
    return prepared.folder


def _name_and_module(
    network: "str | nn.Module | None", weights: str | Path | None
) -> "tuple[str | None, nn.Module | None]":
    """Return the name of a network of limner, or else the custom network."""
    if network is None or isinstance(network, str):
        return network, None
    if weights is not None:
        raise ConfigError("A custom network has its own weights: omit `weights`.")
    return None, network


def _prepared(
    data: str | Path,
    wanted: dict[str, Any],
    run: str | Path | None,
    execution: Execution,
    *,
    accept: bool,
    network: "nn.Module | None",
) -> PreparedRun:
    """Check the name of the run, then the data, and create its folder; other processes wait for it."""
    if num_processes() > 1 and run is None:
        raise ConfigError("With several processes, specify the run that they share with --run.")
    place = None if run is None else named_run(run)
    if place is not None and not is_first_process():
        wait_for(place.environment)
        return open_run(place, network=network)
    if place is not None:
        refuse_taken(place.root)
    refuse_among_images(None if place is None else place.root, data)
    allow_cascade = network is None and num_processes() == 1
    planned = plan_data(data, wanted, execution, accept=accept, allow_cascade=allow_cascade)
    if planned.plan.input.cascade_mm is not None:
        if network is not None:
            raise ConfigError("A cascade is for the networks of limner. Omit input.cascade_mm.")
        return prepare_cascade(planned, run, execution)
    return prepare_run(planned, run, device=execution.device, network=network)


def resume(
    run: str | Path,
    *,
    data_changed: bool = False,
    network: "nn.Module | None" = None,
    device: str = "auto",
    track: Track = silent,
    watchers: Sequence[Watcher] = (),
) -> RunFolder:
    """Continue an interrupted run; on a CPU, the result is as if it had never been interrupted.

    Args:
        run: The run folder, or that of a cross-validation.
        data_changed: Continue if images, labels or splits have changed since; the report says so.
        network: The custom network, if the run was started with one.
        device: ``auto``, or a PyTorch device name.
        track: Shows the progress of preparation and evaluation.
        watchers: Observers of the run.

    Raises:
        ConfigError: The folder is not a run folder.
        DataError: The data is missing, or has changed and `data_changed` is False.
    """
    join_slurm_step()
    folder, execution = RunFolder(user_path(run)), Execution(device, track, watchers)
    if folder.folds.is_file():
        from limner.api.cross_validate import resume_folds

        return resume_folds(folder, execution, data_changed=data_changed)
    return resume_run(folder, execution, data_changed=data_changed, network=network)


def resume_run(
    folder: RunFolder,
    execution: Execution,
    *,
    data_changed: bool = False,
    network: "nn.Module | None" = None,
) -> RunFolder:
    """Continue a single run, see `resume`."""
    prepared = open_run(folder, network=network)
    if is_first_process():
        remove_record(prepared.folder.root)  # of a preparation that was killed at its very end
        check_data_state(prepared, accept=data_changed)
    fit_and_score(prepared, execution, resume=True)
    return prepared.folder


def fit_and_score(prepared: PreparedRun, execution: Execution, *, resume: bool) -> None:
    """Train, score the model on its validation and test images, and write the report."""
    from limner.reporting import write_report
    from limner.training.fit_run import fit_run
    from limner.training.process_watch import watched_processes

    if prepared.plan.input.cascade_mm is not None:
        _fit_first_stage(prepared, execution, resume=resume)
    fit_run(prepared, execution, resume=resume)
    with watched_processes(prepared.folder.root) as watch:
        watch.at("scoring the model", allowed=inf)
        missing = _score(prepared, execution)
    if not is_first_process():
        return
    with noted(missing, "report.html"):
        write_report(prepared.folder)
    if missing:
        raise _missing_parts(prepared.folder.root, missing)


def _score(prepared: PreparedRun, execution: Execution) -> dict[str, WriteError]:
    """Score the model on its validation and test images; return the parts that could not be written."""
    from limner.api.evaluate import score_split
    from limner.inference.load_predictor import load_predictor

    scored = [split for split in SCORED if split in prepared.splits]
    missing: dict[str, WriteError] = {}
    if scored:
        if not is_first_process():
            wait_for(prepared.folder.model)  # a disk of several machines may show it late
        predictor = load_predictor(prepared.folder.root, device=execution.device, network=prepared.network)
        predictor.share_cores()
        for split in scored:
            with noted(missing, f"evaluation/{split}"):
                score_split(prepared, split, predictor, track=execution.track)
    return missing


def _fit_first_stage(prepared: PreparedRun, execution: Execution, *, resume: bool) -> None:
    """Train the low-resolution stage of a cascade, a run of its own, unless that is done already."""
    stage = prepared.folder.low_resolution
    seen, say = prepared.plan.input, Watchers(execution.watchers).say
    assert seen.cascade_mm is not None and seen.spacing_mm is not None, "both stages have a spacing"
    if stage.plan.is_file() and not stage.report.is_file():
        say(f"First stage: at {spacing_text(seen.cascade_mm)}")
        fit_and_score(open_run(stage), execution, resume=resume)
    say(f"Second stage: at {spacing_text(seen.spacing_mm)}")


@contextmanager
def noted(missing: dict[str, WriteError], part: str) -> Iterator[None]:
    """Note a part of the run that cannot be written, and go on with the others."""
    try:
        yield
    except WriteError as error:
        missing[part] = error


def _missing_parts(run: Path, missing: dict[str, WriteError]) -> MissingPartsOfRunError:
    fix = f"Free some space, or make the folder writable; then `limner report {run}` makes them."
    return MissingPartsOfRunError(run, missing, fix)
