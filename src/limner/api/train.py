"""`limner.train()`: from a folder of labelled images to a trained, measured model."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.api.output_folder import make_output_folder
from limner.api.plan import Planned, make
from limner.api.processes import is_first_process, num_processes, wait_for
from limner.api.run_splits import read_splits, write_splits
from limner.core.errors import ConfigError, DataError, describe
from limner.core.plan import NetworkPlan, Plan
from limner.core.progress import Track, silent
from limner.core.run_folder import RunFolder
from limner.planning.plan_files import read_plan, write_plan
from limner.storage.whole_files import write_json

if TYPE_CHECKING:
    from torch import nn

    from limner.loading.dataset import Dataset
    from limner.training.fit import FitResult
    from limner.training.watchers import Watcher

RUNS = Path("runs")
"""Where runs go that have no name of their own, below the working directory."""


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
    watchers: "Sequence[Watcher]" = (),
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
    name = network if isinstance(network, str) else None
    module = None if isinstance(network, str) else network
    if module is not None and weights is not None:
        raise ConfigError("A network of your own brings its own weights: leave out `weights`.")
    if num_processes() > 1 and run is None:
        raise ConfigError("Several processes train together: name the run that they share with --run.")
    if is_first_process():
        if run is not None:
            _refuse_taken(_named_run(run).root)
        planned = make(
            data,
            task=task,
            network=name,
            weights=weights,
            minutes=minutes,
            settings=settings,
            device=device,
            accept=accept,
            track=track,
        )
        if module is not None:
            planned = replace(planned, plan=_with_own_network(planned.plan, module))
        folder = prepare_run(planned, run, device=device)
    else:
        folder = _named_run(str(run))
        wait_for(folder.environment)
    plan = read_plan(folder.plan)
    _fit(folder, plan, network=module, resume=False, device=device, track=track, watchers=watchers)
    return folder


def resume(
    run: str | Path,
    *,
    network: "nn.Module | None" = None,
    device: str = "auto",
    track: Track = silent,
    watchers: "Sequence[Watcher]" = (),
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
    folder = RunFolder(Path(run))
    if not folder.plan.is_file() or not folder.splits.is_file():
        raise ConfigError(
            describe(
                "This is no run that could be resumed",
                where=run,
                expected="a folder with plan.yaml and splits.json, as `limner train` makes them",
                fix="Name the run's folder, such as runs/nuclei-1.",
            )
        )
    plan = read_plan(folder.plan)
    if not Path(plan.data.path).is_dir():
        raise DataError(
            describe(
                "The data of this run is no longer there",
                where=plan.data.path,
                expected="the folder that the run began with",
                fix=f"Put it back, or write where it is now into {folder.plan}, under data: path:.",
            )
        )
    _fit(folder, plan, network=network, resume=True, device=device, track=track, watchers=watchers)
    return folder


def _fit(
    folder: RunFolder,
    plan: Plan,
    *,
    network: "nn.Module | None",
    resume: bool,
    device: str,
    track: Track,
    watchers: "Sequence[Watcher]",
) -> None:
    """Train, then score and report; all is read from the run's folder, so a resume is the same."""
    from limner.api.evaluate import evaluate
    from limner.api.report import report

    datasets = training_datasets(folder, plan)
    fit_run(folder, plan, datasets, network=network, resume=resume, device=device, watchers=watchers)
    if is_first_process():
        for split in ("val", "test"):
            if split in datasets:
                evaluate(folder.root, split=split, device=device, network=network, track=track)
        report(folder.root)


def training_datasets(folder: RunFolder, plan: Plan) -> "dict[str, Dataset]":
    """Return the images of each split of a run that was prepared.

    Raises:
        DataError: The data is no longer what it was, or nothing is there to learn from.
    """
    from limner.formats import open_source
    from limner.loading.dataset import Dataset, targets_of

    source = open_source(Path(plan.data.path))
    datasets = {
        split: Dataset(source, records, plan.data.label_table, gives=targets_of(plan.task))
        for split, records in read_splits(folder, source).items()
    }
    if "train" not in datasets:
        raise DataError(describe("The run has no training images", where=folder.splits))
    return datasets


def fit_run(
    folder: RunFolder,
    plan: Plan,
    datasets: "Mapping[str, Dataset]",
    *,
    network: "nn.Module | None" = None,
    resume: bool = False,
    device: str = "auto",
    watchers: "Sequence[Watcher]" = (),
) -> "FitResult":
    """Train a run that was prepared, without scoring it.

    Raises:
        TrainingError: As `fit`.
        ConfigError: As `fit`.
    """
    from limner.training.fit import fit

    return fit(
        plan,
        train=datasets["train"],
        val=datasets.get("val"),
        run=folder,
        network=network,
        resume=resume,
        device=device,
        watchers=watchers,
    )


def _with_own_network(plan: Plan, network: "nn.Module") -> Plan:
    """Return the plan with the caller's network in place of the one it was made for."""
    reasons = {key: why for key, why in plan.reasons.items() if not key.startswith("network.")}
    own = NetworkPlan(name=type(network).__name__, pretrained="no")
    return plan.model_copy(
        update={"network": own, "reasons": reasons | {"network.name": "you gave the module"}}
    )


def prepare_run(planned: Planned, run: str | Path | None, *, device: str) -> RunFolder:
    """Make the folder with all that training reads; environment.json is written last."""
    plan = planned.plan
    folder = _new_run(run, plan)
    make_output_folder(folder.root)
    write_plan(folder.plan, plan)
    write_json(folder.findings, [finding.to_dict() for finding in planned.checked.findings])
    write_splits(folder, planned.checked.splits)
    write_json(folder.environment, _environment(device))
    return folder


def _new_run(run: str | Path | None, plan: Plan) -> RunFolder:
    """Return a folder that is free: the one asked for, or ``runs/<data>-<number>``."""
    if run is None:
        return RunFolder(next_free(RUNS / Path(plan.data.path).resolve().name))
    return _named_run(run)


def _refuse_taken(folder: Path) -> None:
    """Stop before anything is read where the run could not be written, or would overwrite another."""
    is_run = RunFolder(folder).plan.is_file()
    other = f", or go on with it: limner train --resume {folder}" if is_run else "."
    above = next(f for f in (folder, *folder.parents) if f.exists())
    if not above.is_dir():
        found = f"a file, {above}"
    elif folder.is_dir() and any(folder.iterdir()):
        found = "a run" if is_run else "a folder that is not empty"
    else:
        return
    raise ConfigError(
        describe(
            "The run's folder is already taken",
            where=folder,
            found=found,
            expected="a name that is free",
            fix=f"Choose another --run{other}",
        )
    )


def next_free(stem: Path) -> Path:
    """Return the first of ``stem-1``, ``stem-2``, ... that does not exist."""
    return next(path for n in count(1) if not (path := stem.with_name(f"{stem.name}-{n}")).exists())


def _named_run(run: str | Path) -> RunFolder:
    """Return the run of a folder, or of a name below ``runs/``."""
    given = Path(run)
    return RunFolder(given if given.is_absolute() or len(given.parts) > 1 else RUNS / given)


def _environment(device: str) -> dict[str, Any]:
    """Return versions, machine and command, for whoever wants to repeat the run."""
    import platform
    from importlib.metadata import version

    import torch

    import limner
    from limner.devices.machine import examine

    machine = examine(device)
    return {
        "limner": limner.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "opencv": version("opencv-python-headless"),
        "timm": version("timm"),
        "device": machine.device,
        "device_name": machine.name,
        "cores": machine.num_cores,
        "threads": torch.get_num_threads(),
        "processes": num_processes(),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }
