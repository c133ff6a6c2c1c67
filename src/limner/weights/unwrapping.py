"""The state dict inside what training frameworks save: under a key, behind prefixes, beside an average.

Shape legend: none; tensors are passed on as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from limner.core.errors import ModelError, describe

AVERAGES = ("model_ema", "state_dict_ema", "ema_state_dict_avg", "ema", "ema_model", "averaged_model")
"""Keys under which frameworks keep the moving average of the weights, which they evaluate."""

WHOLE = (
    *("state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params"),
    "network_weights",
)
"""Keys under which frameworks keep the weights."""

BESIDE = ("trainer_name", "inference_allowed_mirroring_axes")
"""Further keys that describe the model, of nnU-Net."""

PREFIXES = (
    "module.",
    "_orig_mod.",
    "model.",
    "net.",
    "network.",
    "segmentor.",
    "student.",
    "_forward_module.",
)
"""Prefixes that wrappers add to the names of all tensors: data-parallel and compiled modules, Lightning's."""

SHOWN = 3
"""Number of example names in a message."""


@dataclass(frozen=True)
class Unwrapped:
    """A state dict, and what was around it.

    Attributes:
        tensors: Name -> tensor in float32, integers unchanged.
        left_out: Name -> why it is not part of the state dict.
        notes: Topic -> what was found, in words.
        meta: What the framework says about the model, such as class names; plain values, or empty.
    """

    tensors: dict[str, torch.Tensor]
    left_out: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)


def unwrap(content: object, path: Path, *, part: str | None = None) -> Unwrapped:
    """Return the state dict in the content of a file.

    Args:
        content: What the file contains.
        path: The file, for error messages.
        part: Key of the state dict in the file; None finds it.

    Raises:
        ModelError: There is no state dict, or it contains values that are no numbers.
    """
    notes: dict[str, str] = {}
    state, meta = _find(content, path, part, notes)
    tensors = {str(name): value for name, value in state.items() if isinstance(value, torch.Tensor)}
    left_out = {str(name): "not a tensor" for name, value in state.items() if str(name) not in tensors}
    if not tensors:
        raise ModelError(_no_tensors(state, path))
    tensors, dropped = _without_prefixes(tensors, notes)
    _refuse_broken(tensors, path)
    return Unwrapped(_as_float32(tensors, notes), left_out | dropped, notes, meta)


def _find(
    content: object, path: Path, part: str | None, notes: dict[str, str]
) -> tuple[Mapping[Any, Any], Mapping[str, Any]]:
    if not isinstance(content, Mapping):
        kind = type(content).__name__
        raise ModelError(
            describe("The file contains no state dict", where=path, found=f"one {kind}", expected=_EXPECTED)
        )
    inside = {str(key): value for key, value in content.items() if _holds_tensors(value)}
    if part is not None and part not in inside:
        known = ", ".join(inside) or "none"
        raise ModelError(f"{path} has no state dict {part!r}. It has: {known}.")
    average = next((key for key in AVERAGES if key in inside), None)
    whole = next((key for key in WHOLE if key in inside), None)
    chosen = part or average or whole
    if chosen is None:
        return content, {}
    others = [key for key in (average, whole) if key not in (None, chosen)]
    if others:
        kind = "the moving average" if chosen == average else "the weights"
        notes["state dict"] = f"{chosen!r}, {kind}; {others[0]!r} is in the file too (--part {others[0]})"
    else:
        notes["state dict"] = f"{chosen!r} of the file"
    state = inside[chosen]
    for inner in WHOLE:  # some frameworks wrap twice
        if inner in state and _holds_tensors(state[inner]):
            state = state[inner]
    return state, _meta_of(content)


def _meta_of(content: Mapping[Any, Any]) -> Mapping[str, Any]:
    """Return what a framework stores beside the weights.

    It is `meta` in mmcv, `hyper_parameters` in Lightning, and `init_args` in nnU-Net.
    """
    for key in ("meta", "hyper_parameters", "config", "init_args"):
        if isinstance(content.get(key), Mapping):
            beside = {name: content[name] for name in BESIDE if name in content}
            return {str(name): value for name, value in content[key].items()} | beside
    return {}


def _holds_tensors(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    return any(isinstance(item, torch.Tensor) or _holds_tensors(item) for item in value.values())


def _without_prefixes(
    tensors: dict[str, torch.Tensor], notes: dict[str, str]
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Remove prefixes that all tensors share; names without them are those of a loss or a metric."""
    removed: list[str] = []
    dropped: dict[str, str] = {}
    while True:
        shared = next((p for p in PREFIXES if _is_shared(p, tensors)), None)
        if shared is None:
            break
        others = [name for name in tensors if not name.startswith(shared)]
        dropped |= {name: f"without the prefix {shared!r} of the network" for name in others}
        tensors = {name.removeprefix(shared): t for name, t in tensors.items() if name.startswith(shared)}
        removed.append(shared)
    if removed:
        notes["names"] = f"the prefix {''.join(removed)!r} of a wrapper was removed"
    return tensors, dropped


def _is_shared(prefix: str, tensors: Mapping[str, torch.Tensor]) -> bool:
    """Return whether all names have a prefix, apart from those of a loss or a metric."""
    others = [name for name in tensors if not name.startswith(prefix)]
    asides = ("criterion", "loss", "metric", "train_", "val_", "test_", "n_averaged", "teacher.", "logit_")
    return len(others) < len(tensors) and all(name.startswith(asides) for name in others)


def _as_float32(tensors: dict[str, torch.Tensor], notes: dict[str, str]) -> dict[str, torch.Tensor]:
    kinds = sorted({str(t.dtype).removeprefix("torch.") for t in tensors.values() if _is_narrow(t)})
    if kinds:
        notes["precision"] = f"{' and '.join(kinds)} in the file, float32 in the model"
    return {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}


def _is_narrow(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() and tensor.dtype != torch.float32


def _refuse_broken(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    broken = [name for name, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()]
    if broken:
        raise ModelError(
            describe(
                "The weights contain values that are no numbers (NaN or infinite)",
                where=path,
                found=f"{len(broken)} tensors, such as {', '.join(broken[:SHOWN])}",
                expected="finite numbers only",
                fix="The training diverged before it was saved: use an earlier checkpoint.",
            )
        )


_EXPECTED = "a mapping of name -> tensor, at the top level or under a key such as state_dict or model"


def _no_tensors(state: Mapping[Any, Any], path: Path) -> str:
    keys = ", ".join(repr(str(key)) for key in list(state)[:5]) or "an empty mapping"
    return describe("The file contains no state dict", where=path, found=keys, expected=_EXPECTED)
