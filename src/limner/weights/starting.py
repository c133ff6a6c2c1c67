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
from limner.weights.card import CARD, WEIGHTS, file_sha256, model_folder, read_card
from limner.weights.checkpoint_files import Checkpoint, read_checkpoint
from limner.weights.checkpoint_source import Asked
from limner.weights.encoders import Encoder, encoder_plan, load_encoder, recognize_encoder
from limner.weights.importing import model_of_checkpoint, plan_of_checkpoint
from limner.weights.model import Model
from limner.weights.transfer import Transfer, transfer

Made = TypeVar("Made")


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
        path: A model folder, a run with a model, a checkpoint that `import_checkpoint` reads, or a
            classifier of images, of which tasks other than classification use the encoder.
        task: The task to train, for checkpoints that do not contain their task.
        network: `name` and `options` that the user set, for the encoder of a classifier.

    Raises:
        ModelError: The weights cannot be read.
        ConfigError: They are a classifier, and the network or its backbone has to be named.
    """
    folder = _model_folder(path)
    if folder is not None:
        return read_model_plan(folder)
    checkpoint = read_checkpoint(path)
    encoder = recognize_encoder(checkpoint)
    if encoder is not None and not _is_whole(encoder, task, (network or {}).get("name")):
        return encoder_plan(encoder, network or {}, task=task)
    return _for_task(plan_of_checkpoint, checkpoint, task)


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
    found = _model_or_checkpoint(path)
    encoder = recognize_encoder(found) if isinstance(found, Checkpoint) else None
    if encoder is not None and not _is_whole(encoder, model.plan.task, model.plan.network.name):
        return load_encoder(encoder, model), None
    start = _start(found, path, model.plan.task)
    return transfer(start.model, model), start.licence


def read_start(path: Path, *, task: str) -> Start:
    """Read the weights; for the arguments, see `read_starting_plan`.

    Raises:
        ModelError: The weights cannot be read.
    """
    return _start(_model_or_checkpoint(path), path, task)


def _start(found: Path | Checkpoint, path: Path, task: str) -> Start:
    """Return the weights of a model folder or of a checkpoint."""
    if isinstance(found, Path):
        return Start(load_model(found), path, read_card(found).licence)
    imported = _for_task(model_of_checkpoint, found, task)
    return Start(imported.model, path, imported.licence)


def _model_or_checkpoint(path: Path) -> Path | Checkpoint:
    """Return the model folder, or else the content of the checkpoint."""
    return _model_folder(path) or read_checkpoint(path)


def _is_whole(encoder: Encoder, task: str, network: str | None) -> bool:
    """Return whether the whole classifier can be used, since the task is to classify images too."""
    is_classifier = network is None or (network in NETWORKS and NETWORKS[network].output is ClassLogits)
    return encoder.normalization is not None and is_classifier and find_task(task).accepts(ClassLogits)


def _model_folder(path: Path) -> Path | None:
    run = RunFolder(path)
    if run.folds.is_file() or run.splits.is_file():
        return model_folder(path)  # refuses several models, and a run without one
    return next((f for f in (path, RunFolder(path).model) if (f / CARD).is_file()), None)


def _for_task(make: Callable[[Checkpoint, Asked], Made], checkpoint: Checkpoint, task: str) -> Made:
    """Import a checkpoint; if it does not contain its task, use `task`, which determines its class names."""
    try:
        return make(checkpoint, Asked())
    except ConfigError:
        return make(checkpoint, Asked(task))
