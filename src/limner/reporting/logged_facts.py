"""Devices, model, precision and batch of another program's run, from its log and the files beside it.

Read are the header of mmengine's and mmcv's text logs, the first line of mmcv's JSON log, ``config.py`` of
mmengine, ``log.txt`` and ``config.yaml`` of Detectron2, and ``hparams.yaml`` of Lightning. Python is parsed,
never run.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from limner.core.config import parse_yaml
from limner.core.errors import ConfigError

DEVICES, MODEL, PRECISION, BATCH = "Devices", "Model", "Precision", "Batch"
"""Names of the facts."""

HEADER_BYTES = 1_000_000
"""The part of a text log that is searched: its header with the environment and the configuration."""

_GPU = re.compile(
    r"^[ \t]*GPU (?P<numbers>\d+(?:,\d+)*)(?::\s*|\s{2,})(?P<name>\S.*?)(?:\s*\(arch=.*)?$", re.MULTILINE
)
_NUM_DEVICES = re.compile(r"(?:GPU number|World size):\s*(\d+)")
_ASSIGNMENT = re.compile(r"^(model|train_dataloader|data|optim_wrapper|fp16) = (?=dict\()", re.MULTILINE)

_MODEL_KEYS = ("model", "model_name", "arch", "architecture", "network")
_ENCODER_KEYS = ("encoder_name", "backbone", "encoder")


def logged_facts(log: Path) -> dict[str, str]:
    """Return name -> text of the facts that a log or the files beside it state; unknown ones are missing."""
    text = "\n".join(_texts(log))
    num_devices = next(map(int, _NUM_DEVICES.findall(text)), None)
    found = {DEVICES: _devices(text, num_devices)} | _of_python(text) | _of_yaml(log)
    per_device = re.fullmatch(r"(\d+) per device", found.get(BATCH, ""))
    if per_device and num_devices and num_devices > 1:
        found[BATCH] += f", {int(per_device[1]) * num_devices} in all"
    order = (DEVICES, MODEL, PRECISION, BATCH)
    return {name: found[name] for name in order if found.get(name)}


def _texts(log: Path) -> Iterator[str]:
    """Yield the texts that may state facts: headers of text logs, and configurations."""
    if log.name.endswith(".json"):
        yield from _first_json_line(log)
    beside = [log.parent, *([log.parent.parent] if log.parent.name == "vis_data" else [])]
    names = ("*.log", "log.txt", "config.py")
    texts = [path for folder in beside for name in names for path in sorted(folder.glob(name))]
    if log.suffix in (".log", ".txt"):
        texts = [log]  # another log in the folder may be of another run
    for path in texts:
        if path.is_file():
            with path.open("rb") as file:
                yield file.read(HEADER_BYTES).decode("utf-8", errors="replace")


def _first_json_line(log: Path) -> Iterator[str]:
    """Yield environment and configuration in the first line of mmcv's JSON log."""
    with log.open(encoding="utf-8", errors="replace") as file:
        line = file.readline(HEADER_BYTES)
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return
    if isinstance(values, dict):
        yield from (str(values[key]) for key in ("env_info", "config") if key in values)


def _devices(text: str, number: int | None) -> str:
    names: dict[str, int] = {}
    for found in _GPU.finditer(text):
        names.setdefault(found["name"].strip(), len(found["numbers"].split(",")))
    if number is not None and len(names) == 1:
        names = dict.fromkeys(names, number)
    if not names and re.search(r"CUDA available:\s*False", text):
        return "CPU"
    return ", ".join(f"{count} × {name}" if count > 1 else name for name, count in names.items())


def _of_python(text: str) -> dict[str, str]:
    """Return the facts in a configuration of mmengine or mmcv."""
    parts = {found[1]: _parsed(text[found.end() :]) for found in _ASSIGNMENT.finditer(text)}
    model, loader, data = (parts.get(name, {}) for name in ("model", "train_dataloader", "data"))
    if not model:
        return {}
    backbone = model.get("backbone")
    names = [model.get("type"), backbone.get("type") if isinstance(backbone, dict) else None]
    batch = loader.get("batch_size", data.get("samples_per_gpu"))
    wrapper = parts.get("optim_wrapper", {})
    is_mixed = "fp16" in parts or wrapper.get("type") == "AmpOptimWrapper"
    dtype = wrapper.get("dtype", "float16")
    return {
        MODEL: ", ".join(str(name) for name in names if name),
        PRECISION: f"{dtype}, mixed" if is_mixed else "float32",
        BATCH: f"{batch} per device" if batch else "",
    }


def _parsed(text: str) -> dict[str, Any]:
    """Return the plain values of the ``dict(...)`` that a text begins with; empty if it is cut off."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and letter == ")":
            try:
                found = _plain(ast.parse(text[: place + 1], mode="eval").body)
            except (SyntaxError, ValueError, RecursionError):
                return {}
            return found if isinstance(found, dict) else {}
    return {}


def _plain(node: ast.expr) -> Any:  # noqa: ANN401 - as nested as the text
    """Return dictionaries as such, constants as they are, and everything else as None."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return {word.arg: _plain(word.value) for word in node.keywords if word.arg}
    return node.value if isinstance(node, ast.Constant) else None


def _of_yaml(log: Path) -> dict[str, str]:
    """Return the facts in the configuration of Detectron2 or Lightning beside a log."""
    for name, read in (("config.yaml", _of_detectron), ("hparams.yaml", _of_lightning)):
        path = log.with_name(name)
        if not path.is_file():
            continue
        try:
            values = parse_yaml(path.read_text("utf-8"), where=str(path))
        except (ConfigError, OSError, ValueError):
            continue  # with Python objects in it, which are not read
        if isinstance(values, Mapping):
            return read(values)
    return {}


def _of_detectron(values: Mapping[str, Any]) -> dict[str, str]:
    names = [_at(values, "MODEL", "META_ARCHITECTURE"), _at(values, "MODEL", "BACKBONE", "NAME")]
    if not any(names):
        return {}
    batch = _at(values, "SOLVER", "IMS_PER_BATCH")
    return {
        MODEL: ", ".join(str(name) for name in names if name),
        PRECISION: "float16, mixed" if _at(values, "SOLVER", "AMP", "ENABLED") else "float32",
        BATCH: f"{batch} in all" if batch else "",
    }


def _of_lightning(values: Mapping[str, Any]) -> dict[str, str]:
    names = [next((values[k] for k in keys if values.get(k)), None) for keys in (_MODEL_KEYS, _ENCODER_KEYS)]
    batch, precision = values.get("batch_size"), values.get("precision")
    return {
        MODEL: ", ".join(str(name) for name in names if isinstance(name, str)),
        PRECISION: "" if precision is None else str(precision),
        BATCH: f"{batch} per device" if batch else "",
    }


def _at(values: Any, *keys: str) -> Any:  # noqa: ANN401 - of a file
    for key in keys:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values
