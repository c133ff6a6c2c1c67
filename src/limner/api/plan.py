"""`limner.plan(...)`: decide every setting of a run, each with its reason, without training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limner.core.execution import Execution
from limner.core.plan import Plan
from limner.preparation.planned import plan_data, with_shorthands


def plan(
    path: Path | str,
    *,
    task: str | None = None,
    network: str | None = None,
    weights: Path | str | None = None,
    minutes: float | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
) -> Plan:
    """Decide every setting of a run, each with its reason.

    Args:
        path: A dataset folder; or a recipe (YAML with ``data:`` and some settings); or a finished plan.
        task: ``semantic``, ``instance`` or ``panoptic``; None is semantic.
        network: A row of `limner networks`; None lets limner choose.
        weights: What the network starts from: a model folder, a run, or another project's checkpoint, as
            `import_checkpoint` reads it. The network is then that of the weights.
        minutes: A time budget for training; None trains as long as the number of images suggests.
        settings: Part of a plan, nested, such as ``{"train": {"steps": 2000}}``; any value may be ``auto``.
            It wins over a recipe's own.
        device: Where training will run: ``auto``, ``cpu``, ``cuda``, ``mps``, ...

    Raises:
        DataError: The data cannot be read, or a check found an error in it.
        ConfigError: A setting cannot be used; every problem is named.
    """
    wanted = with_shorthands(settings, task=task, network=network, weights=weights, minutes=minutes)
    return plan_data(path, wanted, Execution(device)).plan
