"""`limner.compare_networks()`: several networks trained on the same images for the same time."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from limner.analysis.run_costs import measure_run
from limner.core.config import merge
from limner.core.errors import ConfigError, describe
from limner.core.execution import Execution
from limner.core.network_comparison import ComparedNetwork, Comparison
from limner.core.progress import Track, silent
from limner.core.run_folder import RUNS, RunFolder
from limner.core.watchers import Watcher
from limner.evaluation.write_scores import SCORES_FILE
from limner.networks import NETWORKS, network_settings
from limner.planning.settings import dotted
from limner.preparation.planned import Planned, plan_data, settings_and_data, with_shorthands
from limner.preparation.run_names import refuse_among_images
from limner.reporting.network_comparison_page import write_comparison
from limner.storage.claimed_folder import claimed_folder
from limner.storage.failure_note import forget_problem, note_problem
from limner.storage.output_folder import refuse_inside
from limner.storage.unfinished import is_unfinished
from limner.storage.user_paths import user_path
from limner.tasks import find_task

SETUP = "comparison.json"
"""The request, stored beside the runs: a different one must not continue in the same folder."""


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
        track: Shows progress.
        watchers: Observers of the runs.

    Returns:
        One row per network; its `table`, `page` and `plot` are on disk.

    Raises:
        ConfigError: A network or setting is unknown, the folder holds another comparison, or not all networks
            take volumes.
        DataError: The data has errors that prevent training.
    """
    wanted = {name: network_settings(name) for name in dict.fromkeys(networks)}
    if not wanted:
        raise ConfigError("Specify the networks to compare, such as --networks unet,pspnet.")
    settings = with_shorthands(settings, spatial=spatial)
    # Fail early if the data or the common settings are invalid for all networks.
    execution = Execution(device, track, watchers)
    refuse_among_images(None if out is None else user_path(out), data)
    planned = plan_data(data, with_shorthands(settings, minutes=minutes), execution, accept=accept)
    _refuse_mixture(planned, wanted, settings_and_data(data, settings)[0])
    comparison = _begin(planned, out)
    asked = {"data": comparison.data, "minutes": minutes, "settings": settings}
    with claimed_folder(comparison.root, SETUP, asked, what="comparison"):
        for name, chosen in wanted.items():
            given = with_shorthands(merge(settings, chosen), minutes=minutes)
            row = _trained(data, name, given, comparison, execution)
            comparison = replace(comparison, networks=(*comparison.networks, row))
            write_comparison(comparison)
    return comparison


def _refuse_mixture(
    planned: Planned, networks: Mapping[str, Mapping[str, Any]], settings: Mapping[str, Any]
) -> None:
    """Refuse to train some networks in slices, and others on volumes, unless the user says which.

    Raises:
        ConfigError: The data are volumes, and some networks do not take them.
    """
    given = dotted(settings).keys() & {"input.spatial_dims", "input.slice_axis"}
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


def _trained(
    data: str | Path, name: str, settings: dict[str, Any], comparison: Comparison, execution: Execution
) -> ComparedNetwork:
    """Train a network unless its run is finished, and return its row."""
    run = RunFolder(comparison.run_of(name))
    try:
        if not _is_done(run, comparison.split):
            _train(data, run, settings, execution)
        row = _row(name, run, comparison, device=execution.device)
        forget_problem(run)
        return row
    except Exception as error:  # a failing network must not stop the others
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
