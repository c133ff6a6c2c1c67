"""The weights that a training starts from: a model of ours, or another project's checkpoint."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from limner.core.errors import ConfigError
from limner.core.plan import Plan
from limner.core.run_folder import RunFolder
from limner.weights.bundle import load_model, read_model_plan
from limner.weights.card import CARD, read_card
from limner.weights.importing import import_checkpoint, read_checkpoint_plan
from limner.weights.model import Model

Read = TypeVar("Read")


@dataclass(frozen=True)
class Start:
    """What a training starts from.

    Attributes:
        model: With its weights.
        path: Where they are.
        licence: Of the weights, or None where nobody states one; it binds what is made of them.
    """

    model: Model
    path: Path
    licence: str | None


def read_starting_plan(path: Path, *, task: str) -> Plan:
    """Return the plan of the weights: their network, its input and their classes.

    Args:
        path: A model folder, a run, or a checkpoint that `import_checkpoint` reads.
        task: What will be trained, for checkpoints that do not tell what they were trained for.

    Raises:
        ModelError: There is nothing that can be read.
    """
    folder = _model_folder(path)
    return read_model_plan(folder) if folder is not None else _telling_task(read_checkpoint_plan, path, task)


def read_start(path: Path, *, task: str) -> Start:
    """Read the weights; the arguments are those of `read_starting_plan`.

    Raises:
        ModelError: There is nothing that can be read.
    """
    folder = _model_folder(path)
    if folder is not None:
        return Start(load_model(folder), path, read_card(folder).licence)
    imported = _telling_task(import_checkpoint, path, task)
    return Start(imported.model, path, imported.licence)


def _model_folder(path: Path) -> Path | None:
    return next((f for f in (path, RunFolder(path).model) if (f / CARD).is_file()), None)


def _telling_task(read: Callable[..., Read], path: Path, task: str) -> Read:
    """Read a checkpoint; one that does not tell its task gets it, for the names of its classes."""
    try:
        return read(path)
    except ConfigError:
        return read(path, task=task)
