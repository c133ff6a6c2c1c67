"""`limner.compare_networks()`: several networks trained on the same images for the same time."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any

from limner.analysis.run_costs import measure_run
from limner.api.shared_trials import WORK, Line, helping, run_trials
from limner.api.shared_work import refuse_count
from limner.core.config import merge
from limner.core.errors import ConfigError, describe
from limner.core.execution import Execution
from limner.core.network_comparison import ComparedNetwork, Comparison
from limner.core.progress import Track, silent
from limner.core.run_folder import RUNS, RunFolder
from limner.core.watchers import Watcher
from limner.devices.shared_machine import devices_of, shared_machine
from limner.evaluation.write_scores import SCORES_FILE
from limner.networks import NETWORKS, network_settings
from limner.planning.settings import dotted
from limner.preparation.planned import Planned, plan_data, with_shorthands
from limner.preparation.run_names import refuse_among_images
from limner.reporting.network_comparison_page import write_comparison
from limner.storage.claimed_folder import claimed_folder
from limner.storage.failure_note import forget_problem, note_problem
from limner.storage.output_folder import refuse_inside
from limner.storage.shard_ledger import read_summary
from limner.storage.shared_folder import DiskFolder
from limner.storage.unfinished import SHARED, is_unfinished
from limner.storage.user_paths import user_path
from limner.tasks import find_task

SETUP = "comparison.json"
"""The request, stored beside the runs: a different one must not continue in the same folder."""

BY = "compare-networks"


def compare_networks(
    data: str | Path,
    networks: Sequence[str],
    *,
    out: str | Path | None = None,
    minutes: float | None = None,
    spatial: str | None = None,
    settings: dict[str, Any] | None = None,
    accept: bool = False,
    device: str = "auto",
    processes: int | None = None,
    track: Track = silent,
    watchers: Sequence[Watcher] = (),
) -> Comparison:
    """Train several networks in the same way, and compare their cost and scores.

    If a network fails, this is reported and the others continue. Another call skips finished networks,
    resumes an interrupted one, and retries those that failed.

    Args:
        data: A dataset folder, or a YAML file of settings that names one.
        networks: Names in `limner networks`; a variant is ``name/variant``, such as ``pspnet/resnet18c``.
        out: Folder for runs and tables; defaults to ``runs/compare-DATA``.
        minutes: Training time of each network.
        spatial: For volumes, how all networks are trained: ``2d``, ``2.5d``, ``3d`` or ``auto``.
        settings: Values of the plan shared by all, nested as in plan.yaml.
        accept: Accept the proposals of `check`, by writing them to dataset.yaml.
        device: ``auto``, or a PyTorch device name.
        processes: Number of processes here that share the networks, each of which is trained on a device of
            its own, or with a part of the cores; also with those of the same call on other hosts that see
            `out`. None for one process that trains them one after the other.
        track: Shows progress.
        watchers: Observers of the runs.

    Returns:
        One row per network; its `table`, `page` and `plot` are on disk.

    Raises:
        ConfigError: A network or setting is unknown, the folder holds another comparison, or not all networks
            take volumes.
        DataError: The data has errors that prevent training.
    """
    refuse_count(processes)
    wanted = {name: network_settings(name) for name in dict.fromkeys(networks)}
    if not wanted:
        raise ConfigError("Specify the networks to compare, such as --networks unet,pspnet.")
    settings = with_shorthands(settings, spatial=spatial)
    # Fail early if the data or the common settings are invalid for all networks.
    devices = devices_of(device, processes or 1)
    execution = Execution(devices[0], track, watchers)
    refuse_among_images(None if out is None else user_path(out), data)
    planned = plan_data(data, with_shorthands(settings, minutes=minutes), execution, accept=accept)
    _refuse_mixture(planned, wanted)
    comparison = _begin(planned, out)
    asked: dict[str, Any] = {"data": comparison.data, "minutes": minutes, "settings": settings}
    asked |= {} if processes is None else SHARED
    given = {name: with_shorthands(merge(settings, own), minutes=minutes) for name, own in wanted.items()}
    is_shared = processes is not None
    with claimed_folder(comparison.root, SETUP, asked, what="comparison", is_shared=is_shared):
        problems = _trained_together(data, given, comparison, execution, devices) if is_shared else {}
        for name, chosen in given.items():
            if name not in problems:
                problems[name] = _problem_of(data, name, chosen, comparison, execution)
            row = _measured(name, problems[name], comparison, device=execution.device)
            comparison = replace(comparison, networks=(*comparison.networks, row))
            write_comparison(comparison)
    return comparison


def _refuse_mixture(planned: Planned, networks: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse to train some networks in slices, and others on volumes, unless the user says which.

    Raises:
        ConfigError: The data are volumes, and some networks do not take them.
    """
    given = dotted(planned.settings).keys() & {"input.spatial_dims", "input.slice_axis"}
    flat = [n for n, chosen in networks.items() if 3 not in NETWORKS[chosen["network"]["name"]].spatial_dims]
    if planned.checked.facts.volumes and flat and not given:
        raise ConfigError(
            describe(
                "Not all of these networks take volumes",
                where=planned.checked.source.root,
                found=f"for slices only: {', '.join(flat)}",
                expected="all networks trained in the same way",
                fix="Add --spatial 2d (or 2.5d), which trains all of them in slices.",
            )
        )


def _trained_together(
    data: str | Path,
    given: Mapping[str, dict[str, Any]],
    comparison: Comparison,
    execution: Execution,
    devices: Sequence[str],
) -> dict[str, str]:
    """Train networks together with other processes; return the problem of each, empty if there is none."""
    folder = _folder_of_work(comparison.root, given)
    join = partial(_train_those_left, data, given, comparison, folder)
    with shared_machine(len(devices)), helping(join, devices, execution):
        lines = _train_those_left(
            data, given, comparison, folder, device=execution.device, watchers=execution.watchers
        )
    return {line["name"]: line["problem"] for line in lines}


def _train_those_left(
    data: str | Path,
    given: Mapping[str, dict[str, Any]],
    comparison: Comparison,
    folder: Path,
    *,
    device: str,
    watchers: Sequence[Watcher] = (),
) -> list[Line]:
    """Train the networks that no other process has, and return the results of all when they are done."""
    execution = Execution(device, watchers=watchers)

    def train(row: Sequence[str]) -> Line:
        (name,) = row
        return {"name": name, "problem": _problem_of(data, name, given[name], comparison, execution)}

    return run_trials(folder, _asked(given), [[name] for name in given], train, by=BY, after=lambda *_: None)


def _folder_of_work(root: Path, given: Mapping[str, Any]) -> Path:
    """Return the folder of the ledger: a new one if a network failed last time, which is tried again."""
    asked = _asked(given)
    digest = blake2b(asked["networks"].encode(), digest_size=4).hexdigest()
    for number in count():
        folder = root / WORK / f"{digest}-{number}"
        summary = read_summary(DiskFolder(folder), asked, by=BY)
        if summary is None or not any(line["problem"] for line in summary["lines"]):
            break
    return folder


def _asked(given: Mapping[str, Any]) -> dict[str, str]:
    return {"networks": ", ".join(given)}


def _problem_of(
    data: str | Path, name: str, settings: dict[str, Any], comparison: Comparison, execution: Execution
) -> str:
    """Train a network unless its run is finished, and return why that failed; empty if it did not."""
    run = RunFolder(comparison.run_of(name))
    try:
        if not _is_done(run, comparison.split):
            _train(data, run, settings, execution)
    except Exception as error:  # a failing network must not stop the others
        return note_problem(run, error)
    return ""


def _measured(name: str, problem: str, comparison: Comparison, *, device: str) -> ComparedNetwork:
    """Return the row of a network that is trained, or has a problem."""
    run = RunFolder(comparison.run_of(name))
    if problem:
        return ComparedNetwork(name, problem=problem)
    try:
        row = _row(name, run, comparison, device=device)
        forget_problem(run)
        return row
    except Exception as error:  # neither must one that cannot be measured
        return ComparedNetwork(name, problem=note_problem(run, error))


def _begin(planned: Planned, out: str | Path | None) -> Comparison:
    """Return a comparison without networks, with the common settings."""
    plan, splits = planned.plan, planned.checked.splits
    default = RUNS / f"compare-{Path(plan.data.path).resolve().name}"
    root = default if out is None else user_path(out)
    refuse_inside(root, plan.data.path)
    split = "test" if splits.get("test") else "val"
    return Comparison(
        root,
        data=plan.data.path,
        split=split,
        num_images=len(splits.get(split, ())),
        size=plan.input.crop_size,
        main_score=find_task(plan.task).main_score(plan.data.label_table),
    )


def _row(name: str, run: RunFolder, comparison: Comparison, *, device: str) -> ComparedNetwork:
    """Return the scores of a finished run, and the cost of its network."""
    from limner.reporting.gather import gather

    facts = gather(run)
    return replace(
        measure_run(name, run, size=comparison.size, device=device),
        steps=facts.steps,
        train_seconds=facts.seconds,
        scores=next((e.file.scores for e in facts.evaluations if e.split == comparison.split), {}),
    )


def _is_done(run: RunFolder, split: str) -> bool:
    scored = run.evaluation(split)
    return (scored / SCORES_FILE).is_file() and not is_unfinished(scored) and run.report.is_file()


def _train(data: str | Path, run: RunFolder, settings: dict[str, Any], execution: Execution) -> None:
    """Train a run, or resume it."""
    from limner.api.train import resume, train

    device, track, watchers = execution.device, execution.track, execution.watchers
    if run.checkpoints.is_dir() and any(run.checkpoints.iterdir()):
        resume(run.root, device=device, track=track, watchers=watchers)
        return
    if run.root.exists():
        shutil.rmtree(run.root)  # no checkpoint yet
    folder = run.root.absolute()
    train(data, run=folder, settings=settings, device=device, track=track, watchers=watchers)
