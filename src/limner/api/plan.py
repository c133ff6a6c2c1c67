"""`limner.plan()`: the settings of a run, with reasons, without training."""

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
    teacher: str | Path | None = None,
    unlabelled: str | Path | None = None,
    minutes: float | None = None,
    spatial: str | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
) -> Plan:
    """Choose every setting of a run, each with its reason.

    Args:
        path: A dataset folder; or a recipe (YAML with ``data:`` and some settings); or a finished plan.
        task: A row of `TASKS`, such as ``instance``; defaults to that of `weights`, or the usual one of the
            labels and the network.
        network: A name in `limner networks`; None lets limner choose.
        weights: Initial weights: a model folder, a run, or another project's checkpoint, as read by
            `import_checkpoint`. The network is then that of the weights.
        teacher: A model whose outputs the network learns besides the labels.
        unlabelled: Images without labels, as in `train`; they are predicted by a run, not by its plan.
        minutes: Time budget for training; None derives the number of steps from the number of images.
        spatial: For volumes, ``2d`` trains on slices, ``2.5d`` on slices with their neighbours as channels,
            and ``3d`` on volumes; ``auto``, the default, chooses.
        settings: Values of the plan to set, nested, such as ``{"train": {"steps": 2000}}``; any value may be
            ``auto``. They override those of a recipe.
        device: Training device: ``auto``, ``cpu``, ``cuda``, ``mps``, ...

    Raises:
        DataError: The data cannot be read, or the check found an error.
        ConfigError: A setting is invalid; the message lists every problem.
    """
    wanted = with_shorthands(
        settings,
        task=task,
        network=network,
        weights=weights,
        teacher=teacher,
        unlabelled=unlabelled,
        minutes=minutes,
        spatial=spatial,
    )
    return plan_data(path, wanted, Execution(device)).plan
