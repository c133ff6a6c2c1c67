"""Folders of nnU-Net and of MONAI: which file has the weights, and the documents that describe them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limner.core.config import parse_yaml
from limner.core.errors import ConfigError, ModelError, describe

FINAL = ("checkpoint_final.pth", "checkpoint_best.pth", "checkpoint_latest.pth")
"""Files of a fold of nnU-Net, the one that it predicts with first."""

WHOLE_FOLD = "fold_all"
"""A network of nnU-Net that was trained on all images, beside the folds or instead of them."""

NETWORK_CONFIGS = ("inference", "train")
"""Configurations of a bundle that define its network, the one for prediction first."""

LARGEST_DOCUMENT = 20_000_000
"""Bytes; plans and configurations have some thousands."""


@dataclass(frozen=True)
class ProjectFolder:
    """A folder of another project.

    Attributes:
        file: The file with the weights.
        documents: Name -> content of the files that describe them.
        notes: Topic -> what was chosen, in words.
        uses_part: Whether the part that the caller named has chosen the file.
    """

    file: Path
    documents: Mapping[str, Any]
    notes: Mapping[str, str] = field(default_factory=dict)
    uses_part: bool = False


def find_project_folder(path: Path, part: str | None) -> ProjectFolder | None:
    """Return the folder's files if it is of nnU-Net or MONAI, else None.

    Args:
        path: The folder.
        part: The fold of nnU-Net, such as ``fold_1`` or ``1``; None takes the first one.

    Raises:
        ModelError: Files are missing or cannot be read, or the fold does not exist.
    """
    if (path / "plans.json").is_file() and (path / "dataset.json").is_file():
        return _results_folder(path, part)
    if (path / "configs" / "metadata.json").is_file():
        return _bundle(path)
    return None


def nnunet_folds(path: Path) -> tuple[str, ...]:
    """Return the names of the trained folds of a results folder of nnU-Net, without ``fold_all``.

    Raises:
        ModelError: It is no results folder, or has no such fold.
    """
    found = tuple(name for name in _fold_files(path) if name != WHOLE_FOLD)
    if not found or not (path / "plans.json").is_file():
        raise ModelError(
            describe(
                "There are no folds to import",
                where=path,
                expected="a results folder of nnU-Net with fold_0, fold_1, ... and plans.json",
                fix="Leave out --part folds.",
            )
        )
    return found


def _fold_files(path: Path) -> dict[str, Path]:
    """Return fold -> file of its weights."""
    folds = {
        folder.name: next((folder / name for name in FINAL if (folder / name).is_file()), None)
        for folder in sorted(path.glob("fold_*"))
    }
    return {name: file for name, file in folds.items() if file is not None}


def _results_folder(path: Path, part: str | None) -> ProjectFolder:
    """Return the files of a results folder of nnU-Net, named TRAINER__PLANS__CONFIGURATION."""
    files = _fold_files(path)
    if not files:
        raise ModelError(
            describe(
                "The results folder of nnU-Net has no trained fold",
                where=path,
                found=", ".join(folder.name for folder in sorted(path.glob("fold_*")))
                or "no folder fold_0, fold_1, ... or fold_all",
                expected=f"fold_0/{FINAL[0]}",
            )
        )
    wanted = None if part is None else part if part.startswith("fold_") else f"fold_{part}"
    if wanted is not None and wanted not in files:
        raise ModelError(f"{path} has no {wanted} with weights. It has: {', '.join(files)}.")
    chosen = wanted or (WHOLE_FOLD if WHOLE_FOLD in files else next(iter(files)))
    documents = {
        "plans": _read_json(path / "plans.json"),
        "dataset": _read_json(path / "dataset.json"),
        "configuration": path.resolve().name.rpartition("__")[2],
    }
    return ProjectFolder(files[chosen], documents, {"fold": _fold_words(chosen, files)}, uses_part=True)


def _fold_words(chosen: str, files: Mapping[str, Path]) -> str:
    words = f"{chosen}, {files[chosen].name}"
    others = [name for name in files if name != chosen]
    if not others:
        return words
    return (
        f"{words}; also in the folder: {', '.join(others)} (--part {others[0]}). nnU-Net averages all folds: "
        "import each with --part folds, and predict with all of them"
    )


def _bundle(path: Path) -> ProjectFolder:
    """Return the files of a bundle of MONAI."""
    models = path / "models"
    found = [models / name for name in ("model.pt", "model.pth", "model.safetensors")]
    file = next((candidate for candidate in found if candidate.is_file()), None)
    if file is None:
        scripts = sorted(models.glob("*.ts"))
        raise ModelError(
            describe(
                "The bundle has only a TorchScript program, whose weights limner does not read"
                if scripts
                else "The bundle has no weights",
                where=path,
                found=str(scripts[0].relative_to(path)) if scripts else "no models/model.pt",
                expected="models/model.pt, a state dict",
                fix="Download the bundle with its model.pt, or save its state dict.",
            )
        )
    documents: dict[str, Any] = {"metadata": _read_json(path / "configs" / "metadata.json")}
    for name in NETWORK_CONFIGS:
        for suffix, read in _READERS.items():
            config = path / "configs" / f"{name}{suffix}"
            if config.is_file():
                documents.setdefault(name, read(config))
    return ProjectFolder(file, documents, {"bundle": str(file.relative_to(path))})


def _read_json(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(_text(path))
    except ValueError as error:  # not JSON
        raise ModelError(describe("The file is not JSON", where=path, found=str(error))) from error


def _read_yaml(path: Path) -> Any:  # noqa: ANN401 - any YAML value
    try:
        return parse_yaml(_text(path), where=str(path))
    except ConfigError as error:
        raise ModelError(str(error)) from error


_READERS: Mapping[str, Callable[[Path], Any]] = {".json": _read_json, ".yaml": _read_yaml, ".yml": _read_yaml}


def _text(path: Path) -> str:
    if path.stat().st_size > LARGEST_DOCUMENT:
        raise ModelError(
            describe(
                "The file is too large for a description of a network",
                where=path,
                found=f"{path.stat().st_size:,} bytes",
                expected=f"at most {LARGEST_DOCUMENT:,}",
            )
        )
    return path.read_text("utf-8", errors="replace")
