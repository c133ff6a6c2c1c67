"""`model.json`: content and origin of a model folder, and verification of its files."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from limner import __version__
from limner.core.config import Config, parse_config
from limner.core.errors import ModelError, describe
from limner.core.run_folder import RUNS, RunFolder
from limner.storage.user_paths import user_path
from limner.storage.whole_folders import folder_set_aside

FORMAT_VERSION = 1
WEIGHTS, PLAN, LABELS, CARD = "weights.safetensors", "plan.yaml", "labels.yaml", "model.json"
PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".pth.tar", ".joblib")
IMPORTED_FROM = "imported_from"
"""Key of `ModelCard.origin` for the checkpoint of an imported model."""
COPY_AGAIN = "Copy the model folder again, or save it again from its run."
EXPORTED_ALONE = (
    "limner predicts with a file of `limner export` if export.json, plan.yaml and labels.yaml are beside it."
)


class ModelCard(Config):
    """`model.json`: content and origin of a model folder."""

    format: int
    """Version of the folder's format."""
    limner: str
    """Version of limner that wrote it."""
    created: str
    """Time of saving, in UTC, ISO 8601."""
    parameters: int
    """Number of parameters."""
    licence: str | None = None
    """Licence of the weights, if stated; the data's licence may apply too."""
    origin: dict[str, Any] = {}
    """Training data, steps, scores, and source and licence of pretrained weights."""
    sha256: dict[str, str]
    """File name -> SHA-256 of its bytes, hexadecimal."""


def read_card(folder: Path | str) -> ModelCard:
    """Read `model.json`, and check that this limner can read the model folder.

    Raises:
        ModelError: It is not a model folder, or limner cannot read it.
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
    except ModelError:  # of a newer limner
        raise
    except (ValueError, RecursionError) as error:  # of text, JSON, its longest number, and the card
        raise ModelError(
            describe("The model's card is damaged", where=folder / CARD, found=str(error), fix=COPY_AGAIN)
        ) from error


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal, reading 1 MiB at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def verify(folder: Path, card: ModelCard, names: Sequence[str] = (WEIGHTS, PLAN, LABELS)) -> None:
    """Verify files of a model folder against the hashes in its card.

    Raises:
        ModelError: A file was modified; the message names it.
    """
    for name in names:
        written, found = card.sha256.get(name), file_sha256(folder / name)
        if written != found:
            raise ModelError(
                describe(
                    "A file of the model was changed or damaged after it was saved",
                    where=folder / name,
                    found=f"SHA-256 {found[:16]}...",
                    expected=f"{(written or 'none recorded')[:16]}..., according to {CARD}",
                    fix=COPY_AGAIN,
                )
            )


def _refuse_newer(card: object, folder: Path) -> None:
    version = card.get("format") if isinstance(card, dict) else None
    if not isinstance(card, dict) or not isinstance(version, int) or version <= FORMAT_VERSION:
        return  # parsing the card reports other problems
    raise ModelError(
        describe(
            "The model was written by a newer limner",
            where=folder,
            found=f"format {version}, limner {card.get('limner')}",
            expected=f"format {FORMAT_VERSION} or older (this is limner {__version__})",
            fix="Upgrade: pip install --upgrade limner",
        )
    )


def _refuse_pickles(path: Path) -> None:
    inside = sorted(path.iterdir()) if path.is_dir() and not (path / CARD).is_file() else []
    pickles = [file for file in (path, *inside) if _is_pickle(file)]
    if pickles:
        raise ModelError(
            describe(
                "limner does not open pickled checkpoints, since loading one can run arbitrary code",
                where=pickles[0],
                found="a pickle, as torch.save writes it",
                expected=f"a model folder with {WEIGHTS}, {PLAN}, {LABELS} and {CARD}",
                fix=f"Use the model/ folder of a run, or import the file: limner import {path} --out MODEL",
            )
        )


def _is_pickle(path: Path) -> bool:
    """Detect a pickle by name, or by the first bytes of a pickle or of PyTorch's zip archive."""
    if not path.is_file():
        return False
    if path.name.lower().endswith(PICKLES):
        return True
    with path.open("rb") as file:
        start = file.read(64)
    return start[:1] == b"\x80" or (start[:4] == b"PK\x03\x04" and b"data.pkl" in start)


_PASS_A_RUN = "Pass a run of `limner train`, such as runs/my_images-1, or the model folder in it."


def _not_a_model(folder: Path, missing: list[str]) -> str:
    expected = f"a folder with {CARD}, {WEIGHTS}, {PLAN} and {LABELS}"
    if not folder.exists():
        old = folder_set_aside(folder)
        fix = f"Did you mean {RUNS / folder}?" if is_model(RUNS / folder) else _PASS_A_RUN
        if old.exists():
            fix = f"Saving was interrupted; the previous model is intact: rename {old}."
        return describe("There is no such model", where=folder, expected=expected, fix=fix)
    if folder.is_file():
        fix = EXPORTED_ALONE if folder.suffix in (".onnx", ".pt2", ".xml") else ""
        return describe(
            "This is not a model folder", where=folder, found="a file", expected=expected, fix=fix
        )
    inside = folder / "model"
    hint = f"Did you mean {inside}?" if (inside / CARD).is_file() else _PASS_A_RUN
    if (folder / "config.json").is_file():
        hint = f"If it is a checkpoint of transformers, import it: limner import {folder} --out MODEL"
    found = f"{', '.join(missing)} missing"
    return describe(
        "This is not a complete model folder", where=folder, found=found, expected=expected, fix=hint
    )


def _several_models(run: RunFolder) -> str:
    folds = sorted((path for path in run.root.glob("fold-*") if path.is_dir()), key=_by_number)
    names = f"{folds[0]} to {folds[-1].name}" if len(folds) > 1 else str(run.fold(0).root)
    return describe(
        "This is a cross-validation of several models, where one is needed",
        where=run.root,
        found=f"{len(folds)} runs, one for each fold",
        expected="one model",
        fix=f"Name one of the runs: {names}. The cross-validation itself is for `limner predict`, `evaluate` "
        "and `serve`, and for `limner.load`, which average its models.",
    )


def _by_number(fold: Path) -> tuple[int, str]:
    return len(fold.name), fold.name


def is_model(path: Path | str) -> bool:
    """Return whether a path is a model folder, or a run or cross-validation with one."""
    run = RunFolder(user_path(path))
    return (run.root / CARD).is_file() or (run.model / CARD).is_file() or run.folds.is_file()


def model_folder(path: Path | str) -> Path:
    """Return the model folder of a path: the path itself, or the model folder of a run.

    Raises:
        ModelError: It is a run without a model.
    """
    path = user_path(path)
    run = RunFolder(path)
    inside = run.model
    if run.folds.is_file():
        raise ModelError(_several_models(run))
    if run.splits.is_file() and not inside.exists():
        raise ModelError(
            describe(
                "This run has no model yet: training was stopped or is still running",
                where=path,
                expected=f"{inside}, which is written when training ends",
                fix=f"Finish training: limner train --resume {path}",
            )
        )
    return inside if not (path / CARD).is_file() and (inside / CARD).is_file() else path
