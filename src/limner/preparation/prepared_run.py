"""A run with everything that training and evaluation need: newly prepared, or reopened from its folder."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.checks.measuring import digest
from limner.core.errors import ConfigError, DataError, describe
from limner.core.labels import LabelTable
from limner.core.plan import NetworkPlan, Plan
from limner.core.run_folder import RUNS, RunFolder
from limner.core.sample import Record
from limner.devices.processes import num_processes
from limner.evaluation.label_match import with_current_values
from limner.formats import open_source
from limner.formats.source import Source
from limner.loading.dataset import Dataset
from limner.loading.splits import Splits
from limner.loading.training_dataset import training_dataset
from limner.planning.plan_files import read_plan, write_plan
from limner.preparation.data_state import data_changes, note_data_changes, refuse_changes, write_data_state
from limner.preparation.planned import Planned
from limner.preparation.run_names import (
    PREPARING,
    is_half_prepared,
    named_run,
    next_free,
    refuse_taken,
)
from limner.preparation.run_splits import read_splits, write_splits
from limner.storage.folder_lock import locked_folder
from limner.storage.json_files import read_json, write_json
from limner.storage.output_folder import make_output_folder, refuse_inside
from limner.storage.unfinished import marked_unfinished
from limner.tasks import find_task
from limner.transforms.reduced_size import reduced_size

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class PreparedRun:
    """A run that is ready for training, or was trained.

    Attributes:
        folder: The run folder.
        plan: Every setting.
        source: The opened dataset.
        splits: Split -> its images, without empty splits.
        network: A custom network, instead of the plan's.
    """

    folder: RunFolder
    plan: Plan
    source: Source
    splits: Splits
    network: "nn.Module | None" = None

    def dataset(self, split: str) -> Dataset:
        """Return the images of a split as they are, for prediction and scoring.

        Raises:
            DataError: The run has no such split.
        """
        plan, targets = self.plan, find_task(self.plan.task).targets
        reduce = reduced_size(plan.input, plan.resize_for(plan.inference))
        return Dataset(self.source, self._records(split), self._labels, targets=targets, reduce=reduce)

    def training_dataset(self, split: str) -> Dataset:
        """Return the samples of a split that the network is trained on, such as slices of volumes.

        Raises:
            DataError: The run has no such split.
        """
        plan, targets = self.plan, find_task(self.plan.task).targets
        return training_dataset(self.source, self._records(split), self._labels, plan.input, targets=targets)

    def _records(self, split: str) -> Sequence[Record]:
        if split not in self.splits:
            raise DataError(describe(f"The run has no {split} images", where=self.folder.splits))
        return self.splits[split]

    @property
    def _labels(self) -> LabelTable:
        """The plan's classes, with the values that they have in the data now."""
        table, declared = self.plan.data.label_table, self.source.declared_labels()
        return table if declared is None else with_current_values(table, declared)


def prepare_run(
    planned: Planned,
    run: str | Path | None,
    *,
    device: str,
    network: "nn.Module | None" = None,
    first_stage: Planned | None = None,
) -> PreparedRun:
    """Create the run folder with all files that training reads; environment.json is written last.

    Args:
        planned: The plan, and the data it was made for.
        run: The run's folder, or its name in ``runs/``; None chooses an unused name.
        device: Device of the run.
        network: A custom network.
        first_stage: Plan of the low-resolution stage, whose run is created in the folder.

    Raises:
        DataError: The folder cannot be written, or is inside the dataset.
        ConfigError: It belongs to another run.
    """
    plan = planned.plan if network is None else _with_own_network(planned.plan, network)
    checked = planned.checked
    default = RUNS / Path(plan.data.path).resolve().name
    folder = RunFolder(next_free(default)) if run is None else named_run(run)
    refuse_inside(folder.root, plan.data.path)
    make_output_folder(folder.root)
    with locked_folder(folder.root, what="limner train"):
        refuse_taken(folder.root)  # by another process, since the name was chosen
        with marked_unfinished(folder.root, PREPARING):
            write_plan(folder.plan, plan)
            write_json(folder.findings, [finding.to_dict() for finding in checked.findings])
            write_splits(folder, checked.splits)
            pixel_hashes = {image.name: image.content_hash for image in checked.facts.images}
            write_data_state(folder, checked.source, checked.splits, pixel_hashes)
            if first_stage is not None:
                _prepare_first_stage(first_stage, folder.low_resolution.root, device=device)
            write_json(folder.environment, _environment(plan, device))
    splits = {name: records for name, records in checked.splits.items() if records}
    return PreparedRun(folder, plan, checked.source, splits, network)


def _prepare_first_stage(planned: Planned, root: Path, *, device: str) -> None:
    """Create the run of a low-resolution stage, instead of one that an interrupted preparation has left."""
    if root.exists():
        shutil.rmtree(root)
    prepare_run(planned, root.absolute(), device=device)


def open_run(folder: RunFolder, *, network: "nn.Module | None" = None) -> PreparedRun:
    """Reopen a run: its plan, and the images of its splits.

    Args:
        folder: The run's folder.
        network: The custom network, if the run was started with one.

    Raises:
        ConfigError: It is not a run folder, or was interrupted while it was prepared.
        DataError: The data no longer exists, or has changed.
    """
    if not folder.plan.is_file() or not folder.splits.is_file():
        raise ConfigError(
            describe(
                "This is not a run folder",
                where=folder.root,
                expected="a folder with plan.yaml and splits.json, as `limner train` writes them",
                fix="Pass the run's folder, such as runs/nuclei-1.",
            )
        )
    if is_half_prepared(folder.root):
        raise ConfigError(
            describe(
                "This run was interrupted while it was prepared, before its first step",
                where=folder.root,
                fix="Start it again with the same `limner train` command, without --resume.",
            )
        )
    plan = read_plan(folder.plan)
    if not Path(plan.data.path).is_dir():
        raise DataError(
            describe(
                "The data of this run no longer exists",
                where=plan.data.path,
                expected="the folder that the run was started with",
                fix=f"Restore it, or write its new path into {folder.plan}, under data: path:.",
            )
        )
    source = open_source(Path(plan.data.path))
    return PreparedRun(folder, plan, source, read_splits(folder, source), network)


def check_data_state(prepared: PreparedRun, *, accept: bool = False) -> None:
    """Compare the data of a run that is resumed with that of its beginning.

    Args:
        prepared: The reopened run.
        accept: Go on with other data, and note how it differs.

    Raises:
        DataError: The data differs, and `accept` is False; or an image cannot be read.
    """
    folder, source, splits = prepared.folder, prepared.source, prepared.splits
    changes = data_changes(folder, source, splits)
    if not changes:
        return
    if not accept:
        refuse_changes(folder, changes)
    records = [record for members in splits.values() for record in members]
    pixel_hashes = {record.name: digest(source.read_image(record).array) for record in records}
    note_data_changes(folder, changes)
    write_data_state(folder, source, splits, pixel_hashes)


def _with_own_network(plan: Plan, network: "nn.Module") -> Plan:
    """Return the plan with a custom network instead of the one it was made for."""
    reasons = {key: why for key, why in plan.reasons.items() if not key.startswith("network.")}
    own = NetworkPlan(name=type(network).__name__, pretrained="no")
    return plan.model_copy(
        update={"network": own, "reasons": reasons | {"network.name": "you passed the module"}}
    )


def is_of_this_command(folder: RunFolder) -> bool:
    """Return whether a run was prepared by the command that this process was started with.

    Raises:
        DataError: The run's environment.json is damaged.
    """
    if not folder.environment.is_file():
        return False
    noted = read_json(folder.environment, what="The run's environment", expected="what limner wrote there")
    return isinstance(noted, dict) and noted.get("command") == _command()


def _environment(plan: Plan, device: str) -> dict[str, Any]:
    """Return versions, machine and command, for reproducing the run."""
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
        "samples_per_step": plan.train.batch_size,
        "command": _command(),
    }


def _command() -> str:
    """Return the command that this process was started with; ``python -m limner`` is ``limner``."""
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name
    return shlex.join([name, *sys.argv[1:]])
