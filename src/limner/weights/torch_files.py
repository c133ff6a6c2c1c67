"""Reading files of `torch.save` without running code from them.

PyTorch's restricted reader builds tensors and plain values only, and refuses a file that refers to anything
else. Training frameworks store objects of their own beside the weights, such as a log or the arguments of the
command line; these are replaced by empty stand-ins, so that the weights can be read and no code is run.
"""

import re
from pathlib import Path
from typing import Any

import torch

from limner.core.errors import ModelError, describe
from limner.networks.backbones.pretrained import safe_numpy_values
from limner.weights.restricted_pickle import refusal

HARMLESS = (
    *("mmengine.", "mmcv.", "mmseg.", "mmdet.", "pytorch_lightning.", "lightning.", "lightning_fabric."),
    *("omegaconf.", "argparse.Namespace", "pathlib.", "collections.", "typing.", "datetime.", "yacs."),
    *("detectron2.", "fvcore.", "torch.optim.", "torch.nn.modules.", "numpy.", "builtins.set", "enum."),
    *("mmpretrain.", "mmcls.", "mmocr."),
    *("addict.", "easydict.", "hydra.", "deepspeed.", "transformers.training_args", "torchmetrics."),
)
"""Starts of the names of objects that frameworks store beside weights. They are never looked up: a stand-in
takes their place."""

PROGRAMS = {
    "ultralytics.": (
        "It is a model of Ultralytics, pickled with its program, which is under AGPL-3.0, so limner does not "
        "read it.",
        "Export it to ONNX with Ultralytics, and use the ONNX file.",
    ),
    "torchvision.models.": (
        "It is a whole module, pickled with the names of its classes.",
        "Save only its tensors: torch.save(model.state_dict(), FILE).",
    ),
    "segmentation_models_pytorch.": (
        "It is a whole module, pickled with the names of its classes.",
        "Save only its tensors: torch.save(model.state_dict(), FILE), or model.save_pretrained(FOLDER).",
    ),
}
"""Start of a name that is refused -> what the file is, and what to do instead."""

MOST_STAND_INS = 60
"""Files with more kinds of objects than this are refused."""


class StandIn(dict[Any, Any]):
    """Takes the place of an object that is not needed; ignores whatever is stored in it."""

    def __new__(cls, *_arguments: object, **_keywords: object) -> "StandIn":
        """Ignore all arguments."""
        return super().__new__(cls)

    def __init__(self, *_arguments: object, **_keywords: object) -> None:
        super().__init__()

    def __setstate__(self, _state: object) -> None:
        """Ignore the state."""


def read_torch_file(path: Path) -> tuple[Any, tuple[str, ...]]:
    """Read a file of `torch.save`.

    Returns:
        Its content, and the names of the objects that stand-ins replaced.

    Raises:
        ModelError: It is damaged, or refers to something that could run code; the message names it.
    """
    replaced = {name: _stand_in(name) for name in _objects_of_frameworks(path)}
    while len(replaced) < MOST_STAND_INS:
        known = [*safe_numpy_values(), *((stand_in, name) for name, stand_in in replaced.items())]
        try:
            with torch.serialization.safe_globals(known):
                return torch.load(path, map_location="cpu", weights_only=True), tuple(sorted(replaced))
        except Exception as error:  # noqa: BLE001 - a damaged pickle can raise any error
            name = _refused_name(error)
            if name is None:
                raise _damaged(path, error) from error
            if name in replaced or not name.startswith(HARMLESS):
                raise ModelError(_refusal(path, name)) from None
            replaced[name] = _stand_in(name)
    raise ModelError(refusal(path, f"more than {MOST_STAND_INS} kinds of objects"))


def _objects_of_frameworks(path: Path) -> list[str]:
    """Return the names of the objects to replace, before any tensor is read, so that all are read only once.

    Empty for files of PyTorch before 1.6, whose objects are found one by one while they are read.
    """
    try:
        with torch.serialization.safe_globals(safe_numpy_values()):
            names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # noqa: BLE001 - whatever is wrong is reported when the file is read
        return []
    return [name for name in names if name.startswith(HARMLESS)]


def _stand_in(name: str) -> type[StandIn]:
    module, _, own = name.rpartition(".")
    return type(own, (StandIn,), {"__module__": module})


def _refused_name(error: Exception) -> str | None:
    found = re.search(r"GLOBAL (\S+)|Unsupported class (\S+)", str(error))
    return (found[1] or found[2]) if found else None


def _refusal(path: Path, name: str) -> str:
    for start, (what, fix) in PROGRAMS.items():
        if name.startswith(start):
            return describe(what.rstrip("."), where=path, found=f"it references {name}", fix=fix)
    return refusal(path, name)


def _damaged(path: Path, error: Exception) -> ModelError:
    first = (str(error).strip().splitlines() or [""])[0]
    is_cut = "PytorchStreamReader" in first or isinstance(error, (EOFError, OSError))
    return ModelError(
        describe(
            "The checkpoint is incomplete: its end is missing" if is_cut else "The checkpoint cannot be read",
            where=path,
            found=f"{path.stat().st_size:,} bytes; {type(error).__name__}: {first}",
            expected="a file that torch.save wrote, with tensors and plain values",
            fix="Download or copy it again, and compare its size with the original's.",
        )
    )
