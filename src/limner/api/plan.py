"""`limner.plan(...)`: decide every setting of a run, each with its reason, without training."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.api.check import CheckResult, check
from limner.core.config import merge, parse_config
from limner.core.errors import DataError
from limner.core.finding import Severity
from limner.core.plan import Plan
from limner.core.progress import Track, silent
from limner.planning.decisions import YOU_SET_IT
from limner.planning.files import SUFFIXES, read_plan_or_experiment
from limner.planning.fingerprint import Fingerprint, take_fingerprint
from limner.planning.make_plan import make_plan
from limner.planning.pairing import check_pairing
from limner.planning.settings import nest, read_settings

SHOWN = 5
"""Errors of the data that a refusal repeats; `limner check` shows them all."""


@dataclass(frozen=True)
class Planned:
    """A plan, and what it was made from.

    Attributes:
        plan: Every setting.
        checked: What check found in the data; None where a finished plan was read from a file.
    """

    plan: Plan
    checked: CheckResult | None = None

    @property
    def fingerprint(self) -> Fingerprint | None:
        """What the training images are like, or None where a finished plan was read from a file."""
        if self.checked is None or self.checked.labels is None:
            return None
        names = {split: [r.name for r in records] for split, records in self.checked.splits.items()}
        return take_fingerprint(self.checked.facts, self.checked.labels, names)


def plan(
    path: Path | str,
    *,
    network: str | None = None,
    minutes: float | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
) -> Plan:
    """Decide every setting of a run, each with its reason.

    Args:
        path: A dataset folder; or a recipe (YAML with ``data:`` and some settings); or a finished plan.
        network: A row of `limner networks`; None lets limner choose.
        minutes: A time budget for training; None trains as long as the number of images suggests.
        settings: Part of a plan, nested, such as ``{"train": {"steps": 2000}}``; any value may be ``auto``.
            It wins over a recipe's own.
        device: Where training will run: ``auto``, ``cpu``, ``cuda``, ``mps``, ...

    Raises:
        DataError: The data cannot be read, or a check found an error in it.
        ConfigError: A setting cannot be used; every problem is named.
    """
    return make(path, network=network, minutes=minutes, settings=settings, device=device).plan


def make(
    path: Path | str,
    *,
    network: str | None = None,
    minutes: float | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    accept: bool = False,
    workers: int | None = None,
    track: Track = silent,
) -> Planned:
    """Do what `plan` does, and return with it what the data was found to be; `train` goes on from there.

    Args:
        path: As in `plan`.
        network: As in `plan`.
        minutes: As in `plan`.
        settings: As in `plan`.
        device: As in `plan`.
        accept: Write what check proposes into dataset.yaml first.
        workers: Threads that read the data.
        track: Shows progress.
    """
    wanted = _with_shorthands(settings or {}, network=network, minutes=minutes)
    read_settings(wanted)  # a typing error should not wait for the data to be read
    path = Path(path).expanduser()
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        read = read_plan_or_experiment(path)
        if isinstance(read, Plan):
            return Planned(_change(read, wanted))
        path, wanted = read.data, merge(read.settings, wanted)
    checked = check(path, accept=accept, workers=workers, track=track)
    if checked.labels is None or any(f.severity is Severity.ERROR for f in checked.findings):
        raise _refusal(path, checked)
    decided = make_plan(
        checked.source, checked.facts, checked.labels, checked.splits, settings=wanted, device=device
    )
    return Planned(decided, checked)


def _with_shorthands(
    settings: Mapping[str, Any], *, network: str | None, minutes: float | None
) -> dict[str, Any]:
    wanted = dict(settings)
    if network is not None:
        wanted = merge(wanted, {"network": {"name": network}})
    if minutes is not None:
        wanted = merge(wanted, {"train": {"minutes": minutes}})
    return wanted


def _change(finished: Plan, wanted: Mapping[str, Any]) -> Plan:
    """Lay settings over a finished plan; nothing is decided anew."""
    changes = read_settings(wanted)
    if changes.get("network.name", finished.network.name) != finished.network.name:
        changes.setdefault("network.options", {})  # the other network's options are not this one's
    check_pairing(changes.get("network.name", finished.network.name), finished.task)
    values = merge(finished.model_dump(), nest(changes))
    values["reasons"] = finished.reasons | dict.fromkeys(changes, YOU_SET_IT)
    return parse_config(Plan, values, where="The changed plan")


def _refusal(path: Path, checked: CheckResult) -> DataError:
    errors = [f for f in checked.findings if f.severity is Severity.ERROR]
    lines = [f"  {f.where}: {f.found}" for f in errors[:SHOWN]]
    if len(errors) > SHOWN:
        lines.append(f"  and {len(errors) - SHOWN} more")
    proposes = any(f.proposal for f in errors)
    mend = f"limner check {path}" + (" --accept" if proposes else "")
    said = "shows what is proposed and accepts it" if proposes else "shows each with how to mend it"
    return DataError("\n".join([f"The data has errors: {path}", *lines, f"  mend:     `{mend}` {said}."]))
