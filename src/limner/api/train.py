"""`limner.train()`: from a folder of labelled images to a trained, measured model."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.core.errors import ConfigError
from limner.core.execution import Execution
from limner.core.progress import Track, silent
from limner.core.run_folder import RunFolder
from limner.core.watchers import Watcher
from limner.devices.processes import is_first_process, num_processes, wait_for
from limner.preparation.planned import plan_data, with_shorthands
from limner.preparation.prepared_run import PreparedRun, open_run, prepare_run
from limner.preparation.run_names import named_run, refuse_taken

if TYPE_CHECKING:
    from torch import nn


def train(
    data: str | Path,
    *,
    run: str | Path | None = None,
    task: str | None = None,
    network: "str | nn.Module | None" = None,
    weights: str | Path | None = None,
    minutes: float | None = None,
    settings: dict[str, Any] | None = None,
    accept: bool = False,
    device: str = "auto",
    track: Track = silent,
    watchers: Sequence[Watcher] = (),
) -> RunFolder:
    """Check the data, plan the run, train, and score the model on its validation and test images.

    Args:
        data: A dataset folder, or a YAML file of settings that names one (a recipe, or a run's plan.yaml).
        run: The run's folder, or its name below ``runs/``; None finds a free name.
        task: ``semantic``, ``instance`` or ``panoptic``; None is semantic.
        network: A name in `limner networks`, or a module of your own that returns `DenseLogits` or
            `QueryMasks`.
        weights: What the network starts from: a model folder, a run, or another project's checkpoint as
            `limner import` reads it. Classes of the same name keep their weights, the others begin anew.
        minutes: Time budget of the training, validation included.
        settings: Parts of the plan to decide yourself, nested as in plan.yaml.
        accept: Accept what `check` proposes, by writing it to dataset.yaml.
        device: ``auto``, or a device as PyTorch names it.
        track: Progress display for the preparation and the evaluation.
        watchers: Look on during the training.

    Returns:
        The run's folder: plan, findings, checkpoints, model, scores and report.

    Raises:
        DataError: The data has errors that stop training; each finding is in the message.
        ConfigError: A setting is unknown or out of range, or the run's folder is already taken.
        ModelError: The weights to start from cannot be read.
        TrainingError: Training had to stop; `resume` goes on.
    """
    name, module = (network, None) if isinstance(network, str) else (None, network)
    if module is not None and weights is not None:
        raise ConfigError("A network of your own brings its own weights: leave out `weights`.")
    if num_processes() > 1 and run is None:
        raise ConfigError("Several processes train together: name the run that they share with --run.")
    wanted = with_shorthands(settings, task=task, network=name, weights=weights, minutes=minutes)
    execution = Execution(device, track, watchers)
    if is_first_process():
        if run is not None:
            refuse_taken(named_run(run).root)
        planned = plan_data(data, wanted, execution, accept=accept)
        prepared = prepare_run(planned, run, device=device, network=module)
        del planned  # what is known of each file is no longer needed
    else:
        folder = named_run(str(run))
        wait_for(folder.environment)
        prepared = open_run(folder, network=module)
    _fit_and_score(prepared, execution, resume=False)
    return prepared.folder


def resume(
    run: str | Path,
    *,
    network: "nn.Module | None" = None,
    device: str = "auto",
    track: Track = silent,
    watchers: Sequence[Watcher] = (),
) -> RunFolder:
    """Go on with a run that was stopped; on one processor it ends as if it had never been interrupted.

    Args:
        run: The run's folder.
        network: The module, where the run was started with one of your own.
        device: ``auto``, or a device as PyTorch names it.
        track: Progress display for the preparation and the evaluation.
        watchers: Look on during the training.

    Raises:
        ConfigError: It is not the folder of a run.
        DataError: The data is gone, or no longer what it was.
    """
    prepared = open_run(RunFolder(Path(run)), network=network)
    _fit_and_score(prepared, Execution(device, track, watchers), resume=True)
    return prepared.folder


def _fit_and_score(prepared: PreparedRun, execution: Execution, *, resume: bool) -> None:
    """Train, score the model on its validation and test images, and report."""
    from limner.api.evaluate import score_split
    from limner.api.report import report
    from limner.inference.load_predictor import load_predictor
    from limner.training.fit_run import fit_run

    fit_run(prepared, execution, resume=resume)
    if not is_first_process():
        return
    scored = [split for split in ("val", "test") if split in prepared.splits]
    if scored:
        model = prepared.folder.root
        predictor = load_predictor(model, device=execution.device, network=prepared.network)
        for split in scored:
            score_split(prepared, split, predictor, track=execution.track)
    report(prepared.folder)
