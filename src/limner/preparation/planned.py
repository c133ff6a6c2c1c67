"""Data and what is wanted of a run, made into a plan; what was found about the data goes with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.core.config import merge
from limner.core.errors import ConfigError, DataError, describe
from limner.core.execution import Execution
from limner.core.plan import Plan
from limner.datasets.checked import CheckResult, check_dataset
from limner.planning.fingerprint import Fingerprint, take_fingerprint
from limner.planning.make_plan import make_plan
from limner.planning.plan_files import SUFFIXES, read_experiment
from limner.planning.settings import AUTO
from limner.planning.settings import read_settings as check_settings
from limner.planning.task_choice import check_options, check_pairing
from limner.weights.starting import read_starting_plan

SHOWN = 5
"""Errors of the data that a refusal repeats; `limner check` shows them all."""


@dataclass(frozen=True)
class Planned:
    """A plan, and what it was made from."""

    plan: Plan
    checked: CheckResult

    @property
    def fingerprint(self) -> Fingerprint:
        """What the training images are like."""
        assert self.checked.labels is not None, "a plan is made of settled labels only"
        names = {split: [r.name for r in records] for split, records in self.checked.splits.items()}
        return take_fingerprint(self.checked.facts, self.checked.labels, names)


def plan_data(
    path: Path | str,
    settings: Mapping[str, Any],
    execution: Execution,
    *,
    accept: bool = False,
    workers: int | None = None,
) -> Planned:
    """Check the data and decide every setting of a run on it.

    Args:
        path: A dataset folder, a recipe, or a finished plan.
        settings: Part of a plan, nested; they win over those of the file.
        execution: Where the run will be.
        accept: Write what check proposes into dataset.yaml first.
        workers: Threads that read the data.

    Raises:
        DataError: The data cannot be read, or a check found an error in it.
        ConfigError: A setting cannot be used; every problem is named.
        ModelError: The weights to start from cannot be read.
    """
    wanted, data = read_settings(path, settings)
    if Path(path).is_file() and not data.exists():
        raise ConfigError(
            describe(
                "The dataset folder in this file does not exist",
                where=path,
                found=f"no {data} in {Path.cwd()} or next to the file",
                fix="Write the path of your own dataset folder after `data:`.",
            )
        )
    start = starting_plan(wanted)
    checked = check_dataset(data, accept=accept, workers=workers, track=execution.track)
    return Planned(plan_checked(checked, wanted, execution.device, start), checked)


def read_settings(path: Path | str, settings: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], Path]:
    """Find out where the data is and what is wanted, before anything is read.

    Args:
        path: A dataset folder, a recipe, or a finished plan.
        settings: They win over those of the file.

    Returns:
        The settings, nested, with the file's own reasons under ``reasons``; and the dataset folder.

    Raises:
        ConfigError: The file or a setting cannot be used; every problem is named.
    """
    wanted = dict(settings or {})
    user = check_settings(wanted)
    if "network.name" in user:
        check_pairing(user["network.name"], user.get("task", "semantic"))
        check_options(user["network.name"], user.get("network.options", {}))
    path = Path(path).expanduser()
    if path.suffix.lower() not in SUFFIXES or path.is_dir():
        return wanted, path
    read = read_experiment(path)
    under = dict(read.settings)
    name = under.get("network", {}).get("name")
    if user.get("network.name", name) != name:
        under["network"] = {}  # the other network's options are not this one's
    reasons = {key: reason for key, reason in read.reasons.items() if key not in user}
    return merge(under, wanted) | {"reasons": reasons}, read.data


def starting_plan(wanted: dict[str, Any]) -> Plan | None:
    """Return the plan of the weights that are wanted, whose path becomes absolute in `wanted`.

    Raises:
        ModelError: The weights cannot be read.
    """
    network = wanted.get("network")
    if not isinstance(network, dict) or network.get("weights", AUTO) in (None, AUTO):
        return None
    weights = network["weights"]
    path = Path(str(weights)).expanduser().resolve()
    wanted["network"] = network | {"weights": str(path)}
    return read_starting_plan(path, task=wanted.get("task", "semantic"))


def plan_checked(
    checked: CheckResult, settings: Mapping[str, Any], device: str, start: Plan | None = None
) -> Plan:
    """Decide every setting of a run on data that was checked.

    Args:
        checked: What check found.
        settings: Nested, as `read_settings` returns them.
        device: Where training will run.
        start: The plan of the weights to start from, as `starting_plan` returns it.

    Raises:
        DataError: A check found an error.
        ConfigError: A setting cannot be used.
    """
    if checked.labels is None or checked.errors:
        raise _refusal(checked)
    return make_plan(
        checked.source,
        checked.facts,
        checked.labels,
        checked.splits,
        settings=settings,
        device=device,
        start=start,
    )


def with_shorthands(
    settings: Mapping[str, Any] | None,
    *,
    task: str | None = None,
    network: str | None = None,
    weights: Path | str | None = None,
    minutes: float | None = None,
) -> dict[str, Any]:
    """Lay ``--task``, ``--network``, ``--weights`` and ``--minutes`` over the settings they stand for."""
    wanted = dict(settings or {})
    if task is not None:
        wanted = merge(wanted, {"task": task})
    if network is not None:
        wanted = merge(wanted, {"network": {"name": network}})
    if weights is not None:
        wanted = merge(wanted, {"network": {"weights": str(weights)}})
    if minutes is not None:
        wanted = merge(wanted, {"train": {"minutes": minutes}})
    return wanted


def _refusal(checked: CheckResult) -> DataError:
    lines = [f"  {finding.where}: {finding.found}" for finding in checked.errors[:SHOWN]]
    if len(checked.errors) > SHOWN:
        lines.append(f"  and {len(checked.errors) - SHOWN} more")
    path = checked.source.root
    accept = " --accept" if checked.proposal else ""
    effect = "accepts the proposal" if checked.proposal else "lists the errors and how to fix them"
    lines.append(f"  fix:      `limner check {path}{accept}` {effect}.")
    return DataError("\n".join([f"The data has errors: {path}", *lines]))
