"""Making a plan from a dataset and the user's settings, with the results of the checks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.core.config import merge
from limner.core.errors import ConfigError, DataError, describe
from limner.core.execution import Execution
from limner.core.plan import Plan
from limner.datasets.checked import CheckResult, check_dataset
from limner.networks import network_settings
from limner.planning.fingerprint import Fingerprint, take_fingerprint
from limner.planning.make_plan import make_plan
from limner.planning.plan_files import SUFFIXES, read_experiment
from limner.planning.settings import AUTO, flatten, read_settings
from limner.planning.slicing import NEIGHBOURS, choose_slicing
from limner.planning.task_choice import check_options, check_pairing
from limner.storage.user_paths import user_path
from limner.weights.starting import read_starting_plan

SPATIAL: dict[str, dict[str, Any]] = {
    "2d": {"spatial_dims": 2},
    "2.5d": {"spatial_dims": 2, "slice_neighbours": NEIGHBOURS},
    "3d": {"spatial_dims": 3},
    "auto": {},
}
"""Ways to train on volumes: in slices, in slices with their neighbours, as they are, or as the rules say ->
settings of the input."""

SHOWN = 5
"""Maximum number of data errors in the message; `limner check` shows all."""


@dataclass(frozen=True)
class Planned:
    """A plan, and what it was made from.

    Attributes:
        plan: Every setting of a run.
        checked: The checked data.
        settings: The nested settings of the user and of the file, with the reasons of the file.
    """

    plan: Plan
    checked: CheckResult
    settings: dict[str, Any]

    @property
    def fingerprint(self) -> Fingerprint:
        """Statistics of the training images."""
        assert self.checked.labels is not None, "a plan needs defined labels"
        names = {split: [r.name for r in records] for split, records in self.checked.splits.items()}
        slicing = choose_slicing(self.checked.facts, flatten(self.plan))
        return take_fingerprint(self.checked.facts, self.checked.labels, names, slicing=slicing)


@dataclass(frozen=True)
class GivenPlans:
    """Plans of the models that the user names.

    Attributes:
        start: Of the initial weights, or None.
        teacher: Of the teacher, or None.
    """

    start: Plan | None = None
    teacher: Plan | None = None


def plan_data(
    path: Path | str,
    settings: Mapping[str, Any],
    execution: Execution,
    *,
    accept: bool = False,
    workers: int | None = None,
    allow_cascade: bool = True,
) -> Planned:
    """Check the data, and decide every setting of a run on it.

    Args:
        path: A dataset folder, a recipe, or a complete plan.
        settings: Nested settings, part of a plan; they override those in the file.
        execution: Device and progress display.
        accept: Whether to write the proposals of the checks into dataset.yaml first.
        workers: Number of threads that read the data.
        allow_cascade: As of `make_plan`.

    Raises:
        DataError: The data cannot be read, or has errors.
        ConfigError: A setting is invalid; lists every problem.
        ModelError: The initial weights cannot be read.
    """
    wanted, data = settings_and_data(path, settings)
    if Path(path).is_file() and not data.exists():
        raise ConfigError(
            describe(
                "The dataset folder in this file does not exist",
                where=path,
                found=f"no {data} in {Path.cwd()} or next to the file",
                fix="Write the path of your own dataset folder after `data:`.",
            )
        )
    given = given_plans(wanted)
    checked = check_dataset(data, accept=accept, workers=workers, track=execution.track)
    plan = plan_checked(checked, wanted, execution.device, given, allow_cascade=allow_cascade)
    return Planned(plan, checked, wanted)


def settings_and_data(
    path: Path | str, settings: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], Path]:
    """Determine the dataset folder and the settings, before reading data.

    Args:
        path: A dataset folder, a recipe, or a complete plan.
        settings: Nested settings; they override those in the file.

    Returns:
        Nested settings, with the file's reasons under ``reasons``, and the dataset folder.

    Raises:
        ConfigError: The file or a setting is invalid; lists every problem.
    """
    wanted = dict(settings or {})
    user = read_settings(wanted)
    if "network.name" in user:
        check_pairing(user["network.name"], user.get("task"))
        check_options(user["network.name"], user.get("network.options", {}))
    path = user_path(path)
    if path.suffix.lower() not in SUFFIXES or path.is_dir():
        return wanted, path
    read = read_experiment(path)
    under = dict(read.settings)
    name = under.get("network", {}).get("name")
    if user.get("network.name", name) != name:
        under["network"] = {}  # options of another network do not apply
    reasons = {key: reason for key, reason in read.reasons.items() if key not in user}
    return merge(under, wanted) | {"reasons": reasons}, read.data


def given_plans(wanted: dict[str, Any]) -> GivenPlans:
    """Read the plans of the models that the settings name; makes their paths in `wanted` absolute.

    Raises:
        ModelError: A model cannot be read.
    """
    start = _plan_of_weights(wanted, "network", "weights")
    return GivenPlans(start, _plan_of_weights(wanted, "loss", "teacher"))


def _plan_of_weights(wanted: dict[str, Any], section: str, key: str) -> Plan | None:
    settings = wanted.get(section)
    if not isinstance(settings, dict) or settings.get(key, AUTO) in (None, AUTO):
        return None
    path = user_path(str(settings[key])).resolve()
    wanted[section] = settings | {key: str(path)}
    named = settings if section == "network" else None
    return read_starting_plan(path, task=wanted.get("task", "semantic"), network=named)


def plan_checked(
    checked: CheckResult,
    settings: Mapping[str, Any],
    device: str,
    given: GivenPlans = GivenPlans(),  # noqa: B008 (immutable)
    *,
    allow_cascade: bool = True,
) -> Plan:
    """Decide every setting of a run on checked data.

    Args:
        checked: Results of the checks.
        settings: Nested settings from `settings_and_data`.
        device: Device of the training.
        given: Plans of the initial weights and of the teacher, from `given_plans`.
        allow_cascade: As of `make_plan`.

    Raises:
        DataError: The data has errors.
        ConfigError: A setting is invalid.
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
        start=given.start,
        teacher=given.teacher,
        allow_cascade=allow_cascade,
    )


def with_shorthands(
    settings: Mapping[str, Any] | None,
    *,
    task: str | None = None,
    network: str | None = None,
    weights: Path | str | None = None,
    teacher: Path | str | None = None,
    unlabelled: Path | str | None = None,
    minutes: float | None = None,
    spatial: str | None = None,
) -> dict[str, Any]:
    """Merge the options that stand for settings: ``--task``, ``--network``, ``--weights`` and so on.

    Raises:
        UnknownNameError: There is no such network or variant.
        ConfigError: `spatial` is not a way to train on volumes.
    """
    wanted = dict(settings or {})
    if task is not None:
        wanted = merge(wanted, {"task": task})
    if network is not None:
        own = (wanted.get("network") or {}).get("options") or {}
        wanted = merge(wanted, merge(network_settings(network), {"network": {"options": own}} if own else {}))
    if weights is not None:
        wanted = merge(wanted, {"network": {"weights": str(weights)}})
    if teacher is not None:
        wanted = merge(wanted, {"loss": {"teacher": str(teacher)}})
    if unlabelled is not None:
        place = user_path(unlabelled).absolute()  # a resumed run may be started elsewhere
        wanted = merge(wanted, {"train": {"unlabelled": str(place)}})
    if minutes is not None:
        wanted = merge(wanted, {"train": {"minutes": minutes}})
    if spatial is not None:
        if spatial.casefold() not in SPATIAL:
            raise ConfigError(
                "--spatial is 2d (slices of volumes), 2.5d (slices with their neighbours), 3d or auto; found "
                f"{spatial!r}."
            )
        chosen = SPATIAL[spatial.casefold()]
        if "slice_neighbours" in (wanted.get("input") or {}):
            chosen = {key: value for key, value in chosen.items() if key != "slice_neighbours"}
        wanted = merge(wanted, {"input": chosen})
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
