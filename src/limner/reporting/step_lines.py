"""Lines of the logs of mmcv, mmengine and Detectron2 as training steps, from JSON or text."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

_TEXT_LINE = re.compile(
    r"(?P<unit>Epoch|Iter)(?:\((?P<mode>train|val)\))?\s*(?:\[\s*(?P<epoch>\d+)\])?"
    r"\s*\[\s*(?P<now>\d+)(?:/\s*(?P<length>\d+))?\]\s+(?P<values>\S.*)"
)
"""``Epoch [2][50/962]  lr: 1e-3, ...``, ``Iter(val) [100]  mIoU: 0.5``, ``Epoch(train) [2][ 50/100] ...``."""

_VALUE = re.compile(r"([A-Za-z][\w./@=\-]*): ([-+]?(?:\d[\d.]*(?:[eE][-+]?\d+)?|nan|inf))(?![\w:.])")

_TIMES = ("lr", "base_lr", "time", "data_time")
"""Values that a validation line repeats, or measures of itself."""

_NOT_VALUES = {"step", "iter", "iteration", "epoch", "mode", "seed", "eta", "eta_seconds", "epoch_length"}


@dataclass(frozen=True)
class StepLine:
    """One line of a log.

    Attributes:
        step: Number of optimizer steps since the start of the training.
        seconds: Time of those steps, without validations; NaN if unknown.
        values: Name in the other program -> value as written.
        is_percent: Whether the program writes scores from 0 to 100.
    """

    step: float
    seconds: float
    values: dict[str, Any]
    is_percent: bool


def read_step_lines(log: Path) -> Iterator[StepLine]:
    """Yield the lines of a log that have a step; an incomplete last line is skipped."""
    text = log.read_text("utf-8", errors="replace")
    lines = list(_json_values(text) if text.lstrip()[:1] == "{" else _text_values(text))
    known = next((line["epoch_length"] for line in lines if line.get("epoch_length")), None)
    if known is None and _restarts(lines):
        known = _length_beside(log) or max(float(line.get("iter", 0)) for line in lines if _is_training(line))
    return _on_one_clock(lines, known)


def _json_values(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            continue  # the incomplete last line of a killed run
        if {"step", "iter", "iteration"} & values.keys():  # not the settings in mmcv's first line
            yield values


def _text_values(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        found = _TEXT_LINE.search(line)
        if found is None:
            continue
        values: dict[str, Any] = {name: float(value) for name, value in _VALUE.findall(found["values"])}
        values |= {"iter": float(found["now"]), "mode": found["mode"] or "train"}
        if found["unit"] == "Epoch":
            values["epoch"] = float(found["epoch"] or found["now"])
            if values["mode"] == "train" and found["length"]:
                values["epoch_length"] = float(found["length"])
        elif found["mode"] == "val" and found["epoch"]:
            values["epoch"] = float(found["epoch"])
        values["is_percent"] = "mmengine" in line[: found.start()]
        yield values


def _length_beside(log: Path) -> float | None:
    """Return the number of steps of an epoch from mmcv's text log, which has the same name and place."""
    beside = log.with_name(log.name.removesuffix(".json"))
    if beside == log or not beside.is_file():
        return None
    lines = _text_values(beside.read_text("utf-8", errors="replace"))
    return next((line["epoch_length"] for line in lines if line.get("epoch_length")), None)


def _is_training(values: Mapping[str, Any]) -> bool:
    """Return whether the line is about training steps rather than a validation."""
    if "mode" in values:
        return bool(values["mode"] == "train")
    # Some projects count validations in epochs and write no mode: only training has a learning rate.
    return any(name in values for name in ("lr", "loss", "total_loss"))


def _restarts(lines: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether `iter` restarts with each epoch."""
    training = [v for v in lines if _is_training(v) and "step" not in v and "iter" in v and "epoch" in v]
    return any(b["epoch"] > a["epoch"] and b["iter"] <= a["iter"] for a, b in pairwise(training))


def _on_one_clock(lines: Iterable[Mapping[str, Any]], epoch_length: float | None) -> Iterator[StepLine]:
    seconds, step, trained = 0.0, 0.0, 0.0
    for values in lines:
        is_training = _is_training(values)
        if is_training:
            now = _step(values, epoch_length)
            seconds += max(0.0, now - trained) * float(values.get("time", math.nan))
            step = trained = now
        elif "iteration" in values:  # Detectron2 validates at a step of its own
            step = max(step, _step(values, epoch_length))
        elif epoch_length is not None and "epoch" in values:
            step = max(step, float(values["epoch"]) * epoch_length)
        is_percent = bool(values.get("is_percent", "mode" not in values))
        left = _NOT_VALUES | {"is_percent"} | (set() if is_training else set(_TIMES))
        yield StepLine(step, seconds, {n: v for n, v in values.items() if n not in left}, is_percent)


def _step(values: Mapping[str, Any], epoch_length: float | None) -> float:
    if "iteration" in values:
        return float(values["iteration"]) + 1  # Detectron2 counts from 0
    if "step" in values:
        return float(values["step"])
    before = 0.0 if epoch_length is None else (float(values.get("epoch", 1)) - 1) * epoch_length
    return before + float(values["iter"])
