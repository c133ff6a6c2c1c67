"""Checkpoints: everything needed to resume, in one file that is written atomically.

A checkpoint is a safetensors file (no pickle): weights, their average and the optimizer's state as tensors,
and in its header, as JSON, the state of the run and its plan.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from limner.core.errors import ConfigError, ModelError, describe
from limner.core.plan import Plan
from limner.core.run_folder import RunFolder
from limner.planning.settings import dotted
from limner.storage.whole_files import PART, written_aside
from limner.training.disk_refusals import stopping_training
from limner.training.run_state import RunState
from limner.weights.tensors import separate_tensors

FREE_TO_CHANGE = (
    "reasons",
    "network.pretrained",
    "data.path",
    "train.workers",
    "train.save_every",
    "train.accumulate",
    "train.trackers",
)
"""Keys of a plan that a resumed run may change: the weights do not depend on them, or the checkpoint
stores their values."""


ADDED: dict[str, Any] = {"network.norm": None, "network.freeze": []}
"""Settings that plans of older checkpoints lack -> the value that they had."""


@dataclass(frozen=True)
class RunCheckpoint:
    """Content of a checkpoint.

    Attributes:
        state: State of the run.
        tensors: ``model/...``, ``average/...`` and ``optimizer/...``, on the CPU.
        plan: Plan of the run, as plain values.
    """

    state: RunState
    tensors: dict[str, torch.Tensor]
    plan: dict[str, Any]

    def part(self, prefix: str) -> dict[str, torch.Tensor]:
        """Return the tensors under ``prefix/``, without the prefix."""
        start = f"{prefix}/"
        return {name.removeprefix(start): t for name, t in self.tensors.items() if name.startswith(start)}


class Checkpoints:
    """The `last` and `best` checkpoints of a run."""

    def __init__(self, run: RunFolder) -> None:
        self.last = run.checkpoints / "last.safetensors"
        self.best = run.checkpoints / "best.safetensors"
        self._run = run

    def save(self, tensors: Mapping[str, torch.Tensor], state: RunState, plan: Plan) -> None:
        """Replace `last`.

        Raises:
            TrainingError: The disk is full or not writable; the previous checkpoint is intact.
        """
        self._remove_leftovers()
        metadata = {
            "limner": "checkpoint 1",
            "state": json.dumps(state.to_dict()),
            "plan": json.dumps(plan.model_dump(mode="json")),
        }
        ready = separate_tensors(tensors)
        with stopping_training(self._run), written_aside(self.last, durable=True) as aside:
            save_file(ready, str(aside), metadata)

    def keep_as_best(self) -> None:
        """Make `best` the same file as `last`; without copying if the disk supports hard links.

        `last` is only ever replaced by a rename, so `best` keeps its content when `last` moves on.
        """
        self._remove_leftovers()
        with stopping_training(self._run), written_aside(self.best, durable=True) as aside:
            try:
                os.link(self.last, aside)
            except OSError:
                shutil.copyfile(self.last, aside)

    def repair_best(self, step: int) -> None:
        """Make `last`, of step `step`, the best, unless `best` already is of that step."""
        try:
            if read_run_checkpoint(self.best).state.step == step:
                return
        except ModelError:
            pass  # absent or damaged: replaced
        self.keep_as_best()

    def remove(self) -> None:
        """Remove both, so that checkpoints of an earlier run are never used."""
        for path in (self.last, self.best):
            path.unlink(missing_ok=True)

    def _remove_leftovers(self) -> None:
        """Remove incomplete files of killed processes; no other process writes here."""
        for path in self._run.checkpoints.glob(f".*{PART}"):
            path.unlink(missing_ok=True)

    def latest(self) -> tuple[RunCheckpoint, str | None] | None:
        """Read the newest readable checkpoint.

        Returns:
            The checkpoint, and the problem with `last` if `best` is used instead; None if there is neither.

        Raises:
            ModelError: There are checkpoints, but none can be read.
        """
        there = [path for path in (self.last, self.best) if path.exists()]
        problems: list[str] = []
        for path in there:
            try:
                return read_run_checkpoint(path), problems[0] if problems else None
            except ModelError as error:
                problems.append(str(error))
        if problems:
            raise ModelError("\n".join(problems))
        return None


def read_run_checkpoint(path: Path) -> RunCheckpoint:
    """Read one checkpoint file.

    Raises:
        ModelError: It is damaged, incomplete, or not a limner checkpoint.
    """
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            state = RunState(**json.loads(metadata["state"]))
            plan = json.loads(metadata["plan"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            describe(
                "The checkpoint cannot be read",
                where=path,
                found=f"{type(error).__name__}: {error}",
                expected="a complete limner checkpoint",
                fix="Delete it and resume: the run continues from its other checkpoint, if there is one.",
            )
        ) from error
    return RunCheckpoint(state, tensors, plan)


def refuse_another_plan(saved: Mapping[str, Any], plan: Plan, *, where: Path) -> None:
    """Refuse to resume if settings differ from those of the checkpoint.

    Raises:
        ConfigError: Settings differ; the message lists them.
    """
    now = dotted(plan.model_dump(mode="json"))
    before = ADDED | dotted(dict(saved))
    free = FREE_TO_CHANGE + (("train.steps",) if plan.train.minutes is not None else ())
    changed = [
        key
        for key in sorted(now.keys() | before.keys())
        if now.get(key) != before.get(key) and not any(key == f or key.startswith(f"{f}.") for f in free)
    ]
    if changed:
        raise ConfigError(
            describe(
                "The run cannot be resumed, because its plan has changed since the checkpoint",
                where=where,
                found="; ".join(f"{key} was {before.get(key)!r} and is {now.get(key)!r}" for key in changed),
                expected="the same plan: a resumed run ends with the weights of an uninterrupted one",
                fix="Put the settings back in plan.yaml, or start a new run with the new ones.",
            )
        )
