"""Model folders: safe to load (no pickle), and readable with plain PyTorch.

    model/
      weights.safetensors   the network's state dict
      plan.yaml             every setting, including the network and its options
      labels.yaml           value -> name -> trained as, in the format of dataset.yaml
      model.json            hashes of the three, limner's version, licence, origin
      low_resolution/       the first stage of a cascade, a model folder; not in other models

docs/model-folder.md describes the format for use without limner.
"""

import os
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from limner import __version__
from limner.core.errors import ModelError, UnknownNameError, describe
from limner.core.plan import Plan
from limner.core.plan_text import plan_to_yaml
from limner.core.yaml_text import dump_yaml
from limner.networks.weightless import uninitialized
from limner.storage.output_folder import refuse_unwritable
from limner.storage.whole_folders import folder_written_aside
from limner.weights.card import (
    CARD,
    COPY_AGAIN,
    FORMAT_VERSION,
    IMPORTED_FROM,
    LABELS,
    PLAN,
    WEIGHTS,
    ModelCard,
    file_sha256,
    read_card,
    verify,
)
from limner.weights.exported import EXPORT_CARD, read_export_card
from limner.weights.exported_network import load_network
from limner.weights.model import Model
from limner.weights.model_settings import read_model_settings
from limner.weights.tensors import separate_tensors

FIRST_STAGE = "low_resolution"
"""Folder in a model folder with the first stage of a cascade."""

FIRST_CARD = f"{FIRST_STAGE}/{CARD}"
"""Its card, whose hash is in the card of the whole, and has the hashes of its files."""


def save_model(
    folder: Path, model: Model, *, origin: Mapping[str, Any], licence: str | None = None
) -> ModelCard:
    """Write a model folder atomically.

    Args:
        folder: The folder; an existing model folder is replaced.
        model: The model; its weights may be on any device.
        origin: Training data and details, as JSON-ready values.
        licence: Licence of the weights, such as an SPDX name.

    Raises:
        ModelError: `folder` contains something other than a model.
        WriteError: It cannot be written; an existing model is intact.
    """
    folder = Path(folder)
    _refuse_to_replace_other_things(folder)
    with folder_written_aside(folder) as aside:
        return _write_files(aside, model, dict(origin), licence)


def load_model(folder: Path | str, network: nn.Module | None = None) -> Model:
    """Load and verify a model folder; the model is on the CPU in evaluation mode.

    Args:
        folder: A folder written by `save_model` or by `limner export`.
        network: The network, with any weights; only for models with a custom network.

    Raises:
        ModelError: It is not a model folder, a file is missing or was modified, it was written by a newer
            limner, the weights do not fit the network, or it is a pickle, which could run arbitrary code.
    """
    folder = Path(folder)
    if (folder / EXPORT_CARD).is_file():
        return _load_exported(folder)
    card = read_card(folder)
    verify(folder, card)
    plan, labels = read_model_settings(folder)
    try:
        with uninitialized():
            model = Model.from_plan(plan, network)
    except UnknownNameError as error:
        fix = "If the network is your own, pass it: load_model(folder, network=MyNetwork(...))."
        raise ModelError(
            describe("The model's network is unknown", where=folder, found=str(error), fix=fix)
        ) from error
    model.labels = labels
    _load_weights(model.network, folder / WEIGHTS)
    if plan.input.cascade_mm is not None:
        model.set_low_resolution(load_model(folder / FIRST_STAGE))
        verify(folder, card, names=(FIRST_CARD,))
    return model.eval()


def _load_exported(folder: Path) -> Model:
    """Load an exported file as a model; normalisation is in the file."""
    card = read_export_card(folder)
    plan, labels = read_model_settings(folder)
    model = Model(load_network(folder, card), plan, labels)
    model.normalization = nn.Identity()
    return model.eval()


def read_model_plan(folder: Path | str) -> Plan:
    """Read and verify the plan of a model folder, without building its network.

    Raises:
        ModelError: It is not a model folder, or a file was modified.
    """
    if (Path(folder) / EXPORT_CARD).is_file():
        read_export_card(Path(folder))
    else:
        verify(Path(folder), read_card(folder), names=(PLAN, LABELS))
    plan, _ = read_model_settings(Path(folder))
    return plan


def _write_files(folder: Path, model: Model, origin: dict[str, Any], licence: str | None) -> ModelCard:
    state = {name: value.cpu() for name, value in model.network.state_dict().items()}
    save_file(separate_tensors(state), folder / WEIGHTS, metadata={"format": "pt"})
    (folder / PLAN).write_text(plan_to_yaml(model.plan), encoding="utf-8")
    labels = dump_yaml(model.labels.to_dict())
    (folder / LABELS).write_text(labels, encoding="utf-8")
    files = [WEIGHTS, PLAN, LABELS]
    if model.low_resolution is not None:
        (folder / FIRST_STAGE).mkdir()
        _write_files(folder / FIRST_STAGE, model.low_resolution, {"stage": "low resolution"}, licence)
        files.append(FIRST_CARD)
    card = ModelCard(
        format=FORMAT_VERSION,
        limner=__version__,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        parameters=sum(p.numel() for p in model.network.parameters()),
        licence=licence,
        origin=origin,
        sha256={name: file_sha256(folder / name) for name in files},
    )
    (folder / CARD).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return card


def refuse_taken_model(folder: Path) -> None:
    """Refuse to import to a folder, before the work begins, with anything but an imported model in it.

    Raises:
        ModelError: It holds another model, or files that were added or changed since.
        DataError: It cannot be written.
    """
    _refuse_to_replace_other_things(folder)
    if not folder.is_dir() or not any(folder.iterdir()):
        refuse_unwritable(folder)
        return
    card = read_card(folder)
    verify(folder, card)
    added = sorted(path.name for path in folder.iterdir() if path.name not in (*card.sha256, CARD))
    if added or IMPORTED_FROM not in card.origin:
        raise ModelError(
            describe(
                "The folder is not replaced, because an import did not write all of it",
                where=folder,
                found=", ".join(added) or "a model that was trained",
                expected="a new folder, or an imported model without other files",
                fix="Choose a folder that does not exist yet.",
            )
        )


def _refuse_to_replace_other_things(folder: Path) -> None:
    found = "a file"
    if folder.is_dir():
        others = sorted(path.name for path in folder.iterdir())
        if not others or (folder / CARD).is_file():
            return
        found = ", ".join(others[:5])
    if os.path.lexists(folder):
        raise ModelError(
            describe(
                "The folder exists and is not a model, so it is not replaced",
                where=folder,
                found=found,
                fix="Choose a folder that does not exist yet.",
            )
        )


def _load_weights(network: nn.Module, path: Path) -> None:
    try:
        state = load_file(path)
        missing, unexpected = network.load_state_dict(state, strict=False)
    except SafetensorError as error:
        raise ModelError(
            describe("The weights cannot be read", where=path, found=str(error), fix=COPY_AGAIN)
        ) from error
    except RuntimeError as error:  # shapes that differ
        raise ModelError(
            describe("The weights do not fit the network of the plan", where=path, found=str(error))
        ) from error
    if missing or unexpected:
        found = f"{len(missing)} missing weights {missing[:3]}, {len(unexpected)} unexpected {unexpected[:3]}"
        raise ModelError(describe("The weights do not fit the network of the plan", where=path, found=found))
