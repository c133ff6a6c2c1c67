"""Initial weights of a training: a limner model, or another project's checkpoint."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from limner.core.errors import ConfigError
from limner.core.outputs import ClassLogits
from limner.core.plan import Plan
from limner.core.run_folder import RunFolder
from limner.networks import NETWORKS
from limner.tasks import find_task
from limner.weights.bundle import load_model, read_model_plan
from limner.weights.card import CARD, WEIGHTS, file_sha256, read_card
from limner.weights.encoders import Encoder, encoder_plan, load_encoder, read_encoder
from limner.weights.importing import import_checkpoint, read_checkpoint_plan
from limner.weights.model import Model
from limner.weights.transfer import Transfer, transfer

Read = TypeVar("Read")


@dataclass(frozen=True)
class Start:
    """Initial weights of a training.

    Attributes:
        model: The model with its weights.
        path: Path of the weights.
        licence: Licence of the weights, or None if not stated; it also applies to models trained from them.
    """

    model: Model
    path: Path
    licence: str | None

    def sha256(self) -> str:
        """Return the hash of the file that holds the weights."""
        folder = _model_folder(self.path)
        return file_sha256(self.path if folder is None else folder / WEIGHTS)


def read_starting_plan(path: Path, *, task: str, network: Mapping[str, Any] | None = None) -> Plan:
    """Return the plan of the weights, with their network, input and classes.

    Args:
        path: A model folder, a run, a checkpoint that `import_checkpoint` reads, or a classifier of images,
            of which tasks other than classification use the encoder.
        task: The task to train, for checkpoints that do not contain their task.
        network: `name` and `options` that the user set, for the encoder of a classifier.

    Raises:
        ModelError: The weights cannot be read.
        ConfigError: They are a classifier, and the network or its backbone has to be named.
    """
    folder = _model_folder(path)
    if folder is not None:
        return read_model_plan(folder)
    encoder = read_encoder(path)
    if encoder is not None and not _is_whole(encoder, task, (network or {}).get("name")):
        return encoder_plan(encoder, network or {}, task=task)
    return _read_for_task(read_checkpoint_plan, path, task)


def start_from(path: Path, model: Model) -> tuple[Transfer, str | None]:
    """Load initial weights into a network with random weights.

    Args:
        path: As in `read_starting_plan`.
        model: With random weights.

    Returns:
        What was loaded, and the licence of the weights, or None if not stated.

    Raises:
        ModelError: The weights cannot be read, or none of them match.
    """
    encoder = None if _model_folder(path) is not None else read_encoder(path)
    if encoder is not None and not _is_whole(encoder, model.plan.task, model.plan.network.name):
        return load_encoder(encoder, model), None
    start = read_start(path, task=model.plan.task)
    return transfer(start.model, model), start.licence


def read_start(path: Path, *, task: str) -> Start:
    """Read the weights; for the arguments, see `read_starting_plan`.

    Raises:
        ModelError: The weights cannot be read.
    """
    folder = _model_folder(path)
    if folder is not None:
        return Start(load_model(folder), path, read_card(folder).licence)
    imported = _read_for_task(import_checkpoint, path, task)
    return Start(imported.model, path, imported.licence)


def _is_whole(encoder: Encoder, task: str, network: str | None) -> bool:
    """Return whether the whole classifier can be used, since the task is to classify images too."""
    is_classifier = network is None or (network in NETWORKS and NETWORKS[network].output is ClassLogits)
    return encoder.normalization is not None and is_classifier and find_task(task).accepts(ClassLogits)


def _model_folder(path: Path) -> Path | None:
    return next((f for f in (path, RunFolder(path).model) if (f / CARD).is_file()), None)


def _read_for_task(read: Callable[..., Read], path: Path, task: str) -> Read:
    """Read a checkpoint; if it does not contain its task, use `task`, which determines its class names."""
    try:
        return read(path)
    except ConfigError:
        return read(path, task=task)
