"""Checkpoints: everything needed to resume, in one file that is written atomically.

A checkpoint is a safetensors file (no pickle): weights, their average and the optimizer's state as tensors,
and in its header, as JSON, the state of the run and its plan, and a hash of all of it.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from pydantic_core import to_jsonable_python
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from limner.core.errors import ConfigError, ModelError, describe
from limner.core.plan import Plan
from limner.core.run_folder import RunFolder
from limner.planning.settings import default_values, dotted, nest
from limner.storage.whole_files import written_aside
from limner.training.as_run import as_run
from limner.training.disk_refusals import stopping_training
from limner.training.run_state import RunState
from limner.weights.tensors import separate_tensors, tensors_hash

FREE_TO_CHANGE = (
    "reasons",
    "network.pretrained",
    "data.path",
    "train.workers",
    "train.save_every",
    "train.accumulate",
    "train.sharding",
    "train.trackers",
    "inference.largest_component",
)
"""Keys of a plan that a resumed run may change: the weights do not depend on them, or the checkpoint
stores their values."""


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


@dataclass(frozen=True)
class Latest:
    """The newest readable checkpoint.

    Attributes:
        path: Its file.
        checkpoint: Its content.
        problem: The problem with `last`, if another is used instead; else empty.
    """

    path: Path
    checkpoint: RunCheckpoint
    problem: str = ""


class Checkpoints:
    """The `last` and `best` checkpoints of a run, and the one before `last` in case that is damaged."""

    def __init__(self, run: RunFolder) -> None:
        self.last = run.checkpoints / "last.safetensors"
        self.best = run.checkpoints / "best.safetensors"
        self.previous = run.checkpoints / "previous.safetensors"
        self._run = run

    def save(self, tensors: Mapping[str, torch.Tensor], state: RunState, plan: Plan) -> None:
        """Replace `last`, which becomes `previous`.

        Raises:
            TrainingError: The disk is full or not writable; the previous checkpoint is intact.
        """
        metadata = {
            "state": json.dumps(state.to_dict()),
            "plan": json.dumps(plan.model_dump(mode="json")),
        }
        ready = separate_tensors(tensors)
        metadata["hash"] = _hash(ready, metadata)
        with stopping_training(self._run), written_aside(self.last, durable=True) as aside:
            self.previous.unlink(missing_ok=True)  # its space may be needed
            save_file(ready, str(aside), metadata)
            if self.last.exists():
                _link(self.last, self.previous)

    def keep_as_best(self) -> None:
        """Make `best` the same file as `last`; without copying if the disk supports hard links.

        `last` is only ever replaced by a rename, so `best` keeps its content when `last` moves on.
        """
        with stopping_training(self._run), written_aside(self.best, durable=True) as aside:
            _link(self.last, aside)

    def repair_best(self, step: int) -> None:
        """Make `last`, of step `step`, the best, unless `best` already is of that step."""
        try:
            self.read_best(step)
        except ModelError:  # absent, damaged or older
            self.keep_as_best()

    def read_best(self, step: int) -> RunCheckpoint:
        """Read `best`, which has to be of step `step`.

        Raises:
            ModelError: It is damaged, or of another step.
        """
        found = read_run_checkpoint(self.best)
        if found.state.step != step:
            raise ModelError(
                describe(
                    "The best checkpoint is of another step",
                    where=self.best,
                    found=f"step {found.state.step}",
                    expected=f"step {step}",
                )
            )
        return found

    def remove(self) -> None:
        """Remove all, so that checkpoints of an earlier run are never used."""
        for path in (self.last, self.best, self.previous):
            path.unlink(missing_ok=True)

    def latest(self) -> Latest | None:
        """Read the newest readable checkpoint; None if there is no checkpoint.

        Raises:
            ModelError: There are checkpoints, but none can be read.
        """
        problems: list[str] = []
        readable: list[Latest] = []
        for path in (self.last, self.previous, self.best):
            if not path.exists():
                continue
            try:
                found = Latest(path, read_run_checkpoint(path), "\n".join(problems))
            except ModelError as error:
                problems.append(str(error))
                continue
            if path == self.last:
                return found
            readable.append(found)
        if problems and not readable:
            fix = f"  fix:      Delete {self.last.parent}, and resume: the run starts from the beginning."
            raise ModelError("\n".join([*problems, fix]))
        return max(readable, key=lambda found: found.checkpoint.state.step, default=None)


def read_run_checkpoint(path: Path) -> RunCheckpoint:
    """Read one checkpoint file.

    Raises:
        ModelError: It is damaged, incomplete, or not a limner checkpoint.
    """
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        noted = metadata.get("hash")  # versions before had none
        if noted is not None and noted != _hash(tensors, metadata):
            raise ValueError("its content has changed since it was written, so the disk or a copy is faulty")
        state = RunState(**json.loads(metadata["state"]))
        plan = json.loads(metadata["plan"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            describe(
                "The checkpoint cannot be read",
                where=path,
                found=f"{type(error).__name__}: {error}",
                expected="a complete limner checkpoint",
            )
        ) from error
    return RunCheckpoint(state, tensors, plan)


def _hash(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> str:
    told = f"{metadata['state']} {metadata['plan']}".encode()
    return tensors_hash(tensors) + blake2b(told, digest_size=16).hexdigest()


def _link(path: Path, new: Path) -> None:
    """Give a file a second name, or copy it if the disk does not support that."""
    try:
        os.link(path, new)
    except OSError:
        shutil.copyfile(path, new)


def refuse_another_plan(checkpoint: RunCheckpoint, plan: Plan, *, where: Path) -> None:
    """Refuse to resume if settings differ from those of the checkpoint.

    The plan that a run with a time budget leaves at its end is the same plan.

    Raises:
        ConfigError: Settings differ; the message lists them.
    """
    now = dotted(plan.model_dump(mode="json"))
    defaults = dotted(to_jsonable_python(nest(default_values())))
    # Plans of older checkpoints lack the settings that were added since.
    before = {key: value for key, value in defaults.items() if key in now} | dotted(dict(checkpoint.plan))
    at_end = before
    if plan.train.minutes is not None:
        finished = as_run(Plan.model_validate(checkpoint.plan), checkpoint.state)
        at_end = dotted(finished.model_dump(mode="json"))
    changed = [
        key
        for key in sorted(now.keys() | before.keys())
        if now.get(key) not in (before.get(key), at_end.get(key))
        and not any(key == free or key.startswith(f"{free}.") for free in FREE_TO_CHANGE)
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
