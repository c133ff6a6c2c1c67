"""Reading another project's checkpoint: its named tensors, and the JSON files next to them.

File types are detected by their first bytes, not by name. Reading never runs code from a file.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limner.core.errors import ModelError, describe
from limner.networks.backbones.pretrained import read_weight_file
from limner.weights.not_weights import refusal_of
from limner.weights.project_folders import find_project_folder
from limner.weights.python_config import read_python_config
from limner.weights.restricted_pickle import read_restricted_pickle
from limner.weights.torch_files import read_torch_file
from limner.weights.unwrapping import unwrap

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
WHOLE, SHARDED, PICKLED = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"
CLASSIFIER_HEADS = ("fc.", "head.", "heads.", "classifier.")
"""Beginnings of the names of the last layers of a classifier of images."""
SUFFIXES = (".safetensors", ".index.json", ".pkl", ".pth", ".pt", ".bin")

_ZIP = b"PK\x03\x04"
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the magic number that torch.save wrote before zip
_ARRAY_KINDS = "fiub"
_SIGN_LENGTH = 64


@dataclass(frozen=True)
class Checkpoint:
    """Content of a checkpoint.

    Attributes:
        path: The given folder or file.
        tensors: Original name -> tensor.
        config: `config.json`, or empty.
        preprocessor: `preprocessor_config.json`, or empty.
        card: Text of `README.md`, or empty.
        meta: What the framework stored beside the weights, such as class names, or empty.
        training: The training's configuration, if the file or its folder has one in Python; else empty.
        notes: Topic -> what was found in the file, in words.
        left_out: Name -> why this value of the file is no part of the state dict.
        documents: Name -> content of further files of the folder that describe the network.
        part: Key of the state dict, or the fold, that the caller has named.
    """

    path: Path
    tensors: dict[str, torch.Tensor]
    config: Mapping[str, Any] = field(default_factory=dict)
    preprocessor: Mapping[str, Any] = field(default_factory=dict)
    card: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, Any] = field(default_factory=dict)
    part: str | None = None


def read_checkpoint(path: Path, *, part: str | None = None) -> Checkpoint:
    """Read a folder of Hugging Face, nnU-Net or MONAI, or a file of named tensors.

    Args:
        path: A folder with `model.safetensors` (or its shards, or `pytorch_model.bin`) and `config.json`; a
            results folder of nnU-Net; a bundle of MONAI; or a file: .safetensors, .pkl with numpy arrays,
            .pth or .pt.
        part: Key of the state dict in a file with several; None takes the moving average, if there is one.
            Of a results folder, the fold, such as ``fold_1``.

    Raises:
        ModelError: There is no checkpoint, it is damaged, or it is a pickle of more than tensors.
    """
    if not path.is_dir():
        return _unwrapped(path, path, part)
    project = find_project_folder(path, part)
    if project is not None:
        read = _unwrapped(project.file, path, None if project.uses_part else part)
        notes = {**read.notes, **project.notes}
        return replace(read, documents=project.documents, notes=notes, part=part)
    found = next((path / name for name in (WHOLE, SHARDED, PICKLED) if (path / name).is_file()), None)
    if found is None:
        raise ModelError(_nothing_there(path))
    card = path / "README.md"
    return _unwrapped(
        found,
        path,
        part,
        config=_json_object(path / CONFIG),
        preprocessor=_json_object(path / PREPROCESSOR),
        card=card.read_text("utf-8", errors="replace") if card.is_file() else "",
    )


def _unwrapped(file: Path, path: Path, part: str | None, **beside: Any) -> Checkpoint:
    content, replaced = _read_file(file)
    state = unwrap(content, file, part=part)
    notes = dict(state.notes)
    if replaced:
        notes["objects"] = f"not read: {', '.join(replaced)}"
    training = _training_config(state.meta, file)
    return Checkpoint(
        path,
        state.tensors,
        meta=state.meta,
        training=training,
        notes=notes,
        left_out=state.left_out,
        part=part,
        **beside,
    )


def _training_config(meta: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Return mmsegmentation's configuration, from the file or the only Python file beside it; not run."""
    for key in ("cfg", "config"):
        if isinstance(meta.get(key), str):
            return read_python_config(meta[key])
    beside = sorted(file.parent.glob("*.py")) if file.suffix == ".pth" else []
    if len(beside) != 1:
        return {}
    config = read_python_config(beside[0].read_text("utf-8", errors="replace"))
    return config if isinstance(config.get("model"), Mapping) else {}  # else it is some other script


def _read_file(path: Path) -> tuple[Any, tuple[str, ...]]:
    """Return the content of a file, and the names of the objects in it that were not read."""
    if not path.is_file():
        raise ModelError(describe("There is no such checkpoint", where=path, expected=_expected()))
    if path.name.endswith(".index.json"):
        return _read_shards(path), ()
    with path.open("rb") as file:
        start = file.read(_SIGN_LENGTH)
    refusal = refusal_of(path, start)
    if refusal is not None:
        raise ModelError(refusal)
    if path.suffix == ".safetensors":
        return read_weight_file(path), ()
    if start.startswith((_ZIP, _OLD_TORCH)):
        return read_torch_file(path)
    if start[:1] == b"\x80" or path.suffix in (".pkl", ".pickle"):
        return _as_tensors(read_restricted_pickle(path), path), ()
    raise ModelError(
        describe(
            "The file is not a checkpoint",
            where=path,
            found=f"a file that starts with {start[:8]!r}",
            expected=_expected(),
        )
    )


def _as_tensors(value: Any, path: Path) -> Any:  # noqa: ANN401 - any plain value of a pickle
    """Convert arrays inside dicts to tensors; other values are unchanged."""
    if isinstance(value, dict):
        return {key: _as_tensors(item, path) for key, item in value.items()}
    if not isinstance(value, np.ndarray | np.generic):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in _ARRAY_KINDS:
        raise ModelError(
            describe("The pickle contains a non-numeric array", where=path, found=str(array.dtype))
        )
    return torch.from_numpy(np.array(array, array.dtype.newbyteorder("="), order="C"))


def _read_shards(index: Path) -> dict[str, torch.Tensor]:
    """Read the files listed in an index, from the same folder."""
    places = _json_object(index).get("weight_map")
    if not isinstance(places, dict):
        raise ModelError(describe("The index lists no files", where=index, expected="`weight_map`"))
    tensors: dict[str, torch.Tensor] = {}
    for name in sorted({str(place) for place in places.values()}):
        if Path(name).name != name:
            raise ModelError(describe("The index lists a file in another folder", where=index, found=name))
        tensors |= _read_file(index.parent / name)[0]
    lost = sorted(places.keys() - tensors.keys())
    if lost:
        found = f"{len(lost)} tensors are missing from the files, such as {', '.join(lost[:3])}"
        raise ModelError(describe("The index does not match its files", where=index, found=found))
    return tensors


def _json_object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not JSON, or not text
        raise ModelError(describe("The file cannot be read", where=path, found=str(error))) from error
    if not isinstance(values, dict):
        raise ModelError(describe("The file is not a JSON object", where=path, found=type(values).__name__))
    return values


def _nothing_there(folder: Path) -> str:
    files = sorted(file.name for file in folder.iterdir())
    known = [name for name in files if name.endswith(SUFFIXES)]
    fix = f"Pass the file: {folder / known[0]}" if known else ""
    found = ", ".join(files[:5]) or "an empty folder"
    return describe(
        "The folder contains no checkpoint", where=folder, found=found, expected=_expected(), fix=fix
    )


def _expected() -> str:
    return f"a folder with {CONFIG} and {WHOLE}, or a file: .safetensors, .pkl or .pth"
