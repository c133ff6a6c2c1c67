"""A model on disk: a folder one can trust, without pickle, readable with plain torch.

    model/
      weights.safetensors   the network's state dict
      plan.yaml             every setting; names the network and its options
      labels.yaml           value -> name -> trained as, in the shape of dataset.yaml
      model.json            hashes of the three, limner's version, licence, origin

docs/model-folder.md describes it for readers without limner.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from limner import __version__
from limner.core.config import Config, parse_config, parse_yaml
from limner.core.errors import ConfigError, ModelError, UnknownNameError, describe
from limner.core.labels import LabelTable
from limner.core.plan import Plan
from limner.weights.model import Model

FORMAT_VERSION = 1
WEIGHTS, PLAN, LABELS, CARD = "weights.safetensors", "plan.yaml", "labels.yaml", "model.json"
PICKLES = {".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".pth.tar", ".joblib"}


class ModelCard(Config):
    """`model.json`: what the folder holds and where it comes from."""

    format: int
    """Version of the folder's shape."""
    limner: str
    """Version of limner that wrote it."""
    created: str
    """When, in UTC, ISO 8601."""
    parameters: int
    """Numbers that were trained."""
    licence: str | None = None
    """Licence of the weights, where its maker stated one; the data's licence may bind them too."""
    origin: dict[str, Any] = {}
    """What it was trained on and how: data, steps, scores, the source and licence of pretrained weights."""
    sha256: dict[str, str]
    """File name -> SHA-256 of its bytes, hexadecimal."""


def save_model(
    folder: Path, model: Model, *, origin: Mapping[str, Any], licence: str | None = None
) -> ModelCard:
    """Write a model folder; a reader sees the old one or the new one, never half of one.

    Args:
        folder: Where; a model folder that is there is replaced.
        model: What; its weights may be on any device.
        origin: What it was trained on and how, as JSON-ready values.
        licence: Licence of the weights, such as an SPDX name.

    Raises:
        ModelError: `folder` holds something else than a model, or it cannot be written.
    """
    folder = Path(folder)
    _refuse_to_replace_other_things(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.new.", dir=folder.parent))
        try:
            card = _write_files(aside, model, dict(origin), licence)
            _put_in_place(aside, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelError(describe("The model cannot be written", where=folder, found=reason)) from error
    return card


def load_model(folder: Path | str, network: nn.Module | None = None) -> Model:
    """Read a model folder, verify it, and return the model in evaluation mode on the CPU.

    Args:
        folder: A folder that `save_model` wrote.
        network: Needed only for a model whose network is the caller's own: it, with any weights.

    Raises:
        ModelError: It is no model folder, a file is missing or was changed, a newer limner wrote it, the
            weights do not fit the network, or it is a pickle, which could run any code.
    """
    folder = Path(folder)
    card = read_card(folder)
    _verify(folder, card)
    plan, labels = _read_settings(folder)
    try:
        model = Model.from_plan(plan, network)
    except UnknownNameError as error:
        mend = "If the network is your own, give it: load_model(folder, network=MyNetwork(...))."
        raise ModelError(
            describe("The model's network is unknown", where=folder, found=str(error), mend=mend)
        ) from error
    model.labels = labels
    _load_weights(model.network, folder / WEIGHTS)
    return model.eval()


def read_card(folder: Path | str) -> ModelCard:
    """Read `model.json` and look whether this is a model folder that this limner can read.

    Raises:
        ModelError: It is not.
    """
    folder = Path(folder)
    _refuse_pickles(folder)
    missing = [name for name in (CARD, WEIGHTS, PLAN, LABELS) if not (folder / name).is_file()]
    if missing:
        raise ModelError(_not_a_model(folder, missing))
    try:
        values = json.loads((folder / CARD).read_text(encoding="utf-8"))
        _refuse_newer(values, folder)
        return parse_config(ModelCard, values, where=str(folder / CARD))
    except (json.JSONDecodeError, UnicodeDecodeError, ConfigError) as error:
        raise ModelError(
            describe("The model's card is damaged", where=folder / CARD, found=str(error))
        ) from error


def read_plan(folder: Path | str) -> Plan:
    """Read the plan of a model folder, verified, without building its network.

    Raises:
        ModelError: It is no model folder, or a file was changed.
    """
    _verify(Path(folder), read_card(folder), names=(PLAN, LABELS))
    plan, _ = _read_settings(Path(folder))
    return plan


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal, reading 1 MiB at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _write_files(folder: Path, model: Model, origin: dict[str, Any], licence: str | None) -> ModelCard:
    state = {name: value.detach().cpu().contiguous() for name, value in model.network.state_dict().items()}
    save_file(_without_sharing(state), folder / WEIGHTS, metadata={"format": "pt"})
    plan = model.plan.model_dump(mode="json")
    (folder / PLAN).write_text(yaml.safe_dump(plan, sort_keys=False, allow_unicode=True), encoding="utf-8")
    labels = yaml.safe_dump(model.labels.to_dict(), sort_keys=False, allow_unicode=True)
    (folder / LABELS).write_text(labels, encoding="utf-8")
    card = ModelCard(
        format=FORMAT_VERSION,
        limner=__version__,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        parameters=sum(p.numel() for p in model.network.parameters()),
        licence=licence,
        origin=origin,
        sha256={name: file_sha256(folder / name) for name in (WEIGHTS, PLAN, LABELS)},
    )
    (folder / CARD).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    folder.chmod(0o755)
    return card


def _without_sharing(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copy tensors that share memory, which safetensors refuses."""
    seen: set[int] = set()
    apart: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        address = value.untyped_storage().data_ptr()
        apart[name] = value.clone() if address in seen else value
        seen.add(address)
    return apart


def _put_in_place(aside: Path, folder: Path) -> None:
    """Rename; the old folder is moved away first, since a folder that is not empty cannot be replaced."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    try:
        aside.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _refuse_to_replace_other_things(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / CARD).is_file():
        raise ModelError(
            describe(
                "A folder that is not a model will not be replaced by one",
                where=folder,
                found=", ".join(sorted(p.name for p in folder.iterdir())[:5]),
                mend="Name a folder that does not exist yet.",
            )
        )


def _refuse_pickles(path: Path) -> None:
    if path.is_file() and (path.suffix.lower() in PICKLES or path.name.lower().endswith(".pth.tar")):
        raise ModelError(
            describe(
                "limner does not open pickled checkpoints, because opening one can run any code it holds",
                where=path,
                found=f"a {path.suffix} file",
                expected=f"a model folder with {WEIGHTS}, {PLAN}, {LABELS} and {CARD}",
                mend="Use the model/ folder of a limner run.",
            )
        )


def _not_a_model(folder: Path, missing: list[str]) -> str:
    expected = f"a folder with {CARD}, {WEIGHTS}, {PLAN} and {LABELS}"
    if not folder.exists():
        old = folder.with_name(f".{folder.name}.old")
        mend = f"Saving was interrupted; the model before it is whole: rename {old}." if old.exists() else ""
        return describe("There is no such model", where=folder, expected=expected, mend=mend)
    if folder.is_file():
        return describe("This is not a model folder", where=folder, found="a file", expected=expected)
    inside = folder / "model"
    hint = f"Did you mean {inside}?" if (inside / CARD).is_file() else ""
    found = f"{', '.join(missing)} missing"
    return describe(
        "This is not a whole model folder", where=folder, found=found, expected=expected, mend=hint
    )


def _refuse_newer(card: object, folder: Path) -> None:
    version = card.get("format") if isinstance(card, dict) else None
    if not isinstance(card, dict) or not isinstance(version, int) or version <= FORMAT_VERSION:
        return  # what is wrong with the card is said by parsing it
    raise ModelError(
        describe(
            "The model was written by a newer limner",
            where=folder,
            found=f"format {version}, limner {card.get('limner')}",
            expected=f"format {FORMAT_VERSION} or older (this is limner {__version__})",
            mend="Upgrade: pip install --upgrade limner",
        )
    )


def _verify(folder: Path, card: ModelCard, names: Sequence[str] = (WEIGHTS, PLAN, LABELS)) -> None:
    for name in names:
        written, found = card.sha256.get(name), file_sha256(folder / name)
        if written != found:
            raise ModelError(
                describe(
                    "A file of the model was changed or damaged after it was saved",
                    where=folder / name,
                    found=f"SHA-256 {found[:16]}...",
                    expected=f"{(written or 'none recorded')[:16]}..., as {CARD} says",
                    mend="Copy the model folder again, or save it anew from its run.",
                )
            )


def _read_settings(folder: Path) -> tuple[Plan, LabelTable]:
    try:
        values = parse_yaml((folder / PLAN).read_text(encoding="utf-8"), where=str(folder / PLAN))
        labels = parse_yaml((folder / LABELS).read_text(encoding="utf-8"), where=str(folder / LABELS))
        return parse_config(Plan, values, where=str(folder / PLAN)), LabelTable.from_dict(labels)
    except (ConfigError, KeyError, TypeError) as error:
        raise ModelError(
            describe("The model's settings cannot be read", where=folder, found=str(error))
        ) from error


def _load_weights(network: nn.Module, path: Path) -> None:
    try:
        state = load_file(path)
        missing, unexpected = network.load_state_dict(state, strict=False)
    except SafetensorError as error:
        raise ModelError(describe("The weights cannot be read", where=path, found=str(error))) from error
    except RuntimeError as error:  # shapes that differ
        raise ModelError(
            describe("The weights do not fit the network of the plan", where=path, found=str(error))
        ) from error
    if missing or unexpected:
        found = f"{len(missing)} weights missing {missing[:3]}, {len(unexpected)} too many {unexpected[:3]}"
        raise ModelError(describe("The weights do not fit the network of the plan", where=path, found=found))
