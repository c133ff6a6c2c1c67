"""Import of other projects' checkpoints as models; `SOURCES` lists the supported ones.

Weights are not converted; `tests/weights/` compares the outputs with the original ones.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from limner.core.errors import ModelError, describe
from limner.core.labels import LabelTable
from limner.core.plan import Plan
from limner.networks import build_network
from limner.networks.weightless import weightless
from limner.storage.user_paths import user_path
from limner.weights.card import IMPORTED_FROM
from limner.weights.checkpoint_files import Checkpoint, read_checkpoint
from limner.weights.checkpoint_source import Asked, CheckpointSource, Conclusions, NetworkShape
from limner.weights.imported_plan import plan_of, summarize
from limner.weights.model import Model
from limner.weights.renaming import Renamed, rename
from limner.weights.sources import SOURCES

SHOWN = 3
"""Number of example names in a message."""


@dataclass(frozen=True)
class Imported:
    """A model imported from a checkpoint, and what was inferred.

    Attributes:
        model: In evaluation mode on the CPU.
        source: The project that wrote the checkpoint.
        path: The checkpoint.
        licence: Licence of the weights, or None if not stated.
        facts: Topic -> conclusion and its source, in words.
        num_loaded: Number of the network's tensors that were loaded.
        unused: Names of the checkpoint's tensors that prediction does not need.
    """

    model: Model
    source: str
    path: Path
    licence: str | None
    facts: Mapping[str, str]
    num_loaded: int
    unused: tuple[str, ...]

    @property
    def origin(self) -> dict[str, Any]:
        """The model's origin, for its card."""
        return {IMPORTED_FROM: str(self.path), "written_by": self.source, **self.facts}


def import_checkpoint(
    path: Path | str,
    *,
    task: str | None = None,
    classes: LabelTable | None = None,
    licence: str | None = None,
) -> Imported:
    """Read a checkpoint of one of `SOURCES`.

    Args:
        path: A Hugging Face folder (`config.json`, `model.safetensors`), or a file of Detectron2's (.pkl or
            .pth).
        task: ``semantic``, ``instance`` or ``panoptic``, if the checkpoint does not contain it.
        classes: The classes in trained order, if the checkpoint does not contain them.
        licence: Licence of the weights, if the checkpoint does not contain it.

    Raises:
        ModelError: There is no checkpoint, it is damaged or of another architecture, it has missing or
            unexpected tensors, or it is a pickle that could run code.
        ConfigError: The task is unknown.
    """
    found = _read(path, Asked(task, classes, licence))
    model = Model.from_plan(found.plan)
    model.network.load_state_dict(found.state)
    model.eval()
    facts = summarize(found.conclusions, found.shape, sum(p.numel() for p in model.network.parameters()))
    return Imported(
        model,
        found.source.naming.title,
        found.checkpoint.path,
        found.conclusions.licence.value,
        facts,
        len(found.state),
        found.renamed.unused,
    )


def read_checkpoint_plan(path: Path | str, *, task: str | None = None) -> Plan:
    """Return the plan of a checkpoint as in `import_checkpoint`, without building the model.

    Args:
        path: As in `import_checkpoint`.
        task: As in `import_checkpoint`.

    Raises:
        ModelError: As in `import_checkpoint`.
        ConfigError: The task is unknown.
    """
    return _read(path, Asked(task)).plan


@dataclass(frozen=True)
class _Read:
    """A checkpoint with renamed tensors, and what was inferred from it."""

    checkpoint: Checkpoint
    source: CheckpointSource
    renamed: Renamed
    shape: NetworkShape
    state: dict[str, torch.Tensor]
    conclusions: Conclusions
    plan: Plan


def _read(path: Path | str, asked: Asked) -> _Read:
    checkpoint = read_checkpoint(user_path(path))
    source = _source_of(checkpoint)
    renamed = rename(checkpoint.tensors, source.naming)
    shape = source.read_shape(checkpoint, renamed)
    state = _fitting_state(renamed, shape, checkpoint)
    conclusions = source.infer(checkpoint, shape, asked)
    plan = plan_of(checkpoint, source, shape, conclusions)
    return _Read(checkpoint, source, renamed, shape, state, conclusions, plan)


def _source_of(checkpoint: Checkpoint) -> CheckpointSource:
    """Recognise the project that wrote a checkpoint by the names of its tensors."""
    for source in SOURCES.values():
        if any(re.search(source.naming.sign, name) for name in checkpoint.tensors):
            return source
    names = sorted(checkpoint.tensors)
    for source in SOURCES.values():
        source.refuse_others(checkpoint)  # has a better message if config.json has another architecture
    examples: dict[str, list[str]] = {}
    for source in SOURCES.values():
        examples.setdefault(source.architecture, []).append(source.example)
    raise ModelError(
        describe(
            "The checkpoint is of another architecture",
            where=checkpoint.path,
            found=f"{len(names)} tensors, such as {', '.join(names[:SHOWN])}",
            expected="; ".join(f"a {name}: {' or '.join(given)}" for name, given in examples.items()),
            fix="For other networks, only pretrained encoders and limner's own model folders can be used.",
        )
    )


def _fitting_state(renamed: Renamed, shape: NetworkShape, checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """Return the network's state dict in float32, with all tensors and the right shapes.

    Raises:
        ModelError: Tensors are missing, unexpected, or of other shapes; with counts and examples.
    """
    with weightless():
        network = build_network(
            shape.name, num_classes=shape.num_classes, in_channels=shape.in_channels, **shape.options
        )
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in renamed.tensors.items()}
    counters = {name for name in wanted if name.endswith("num_batches_tracked")}
    missing = sorted(wanted.keys() - given.keys() - counters)
    unexpected = sorted(renamed.theirs[name] for name in given.keys() - wanted.keys())
    misshapen = [
        f"{renamed.theirs[name]} {given[name]} for {wanted[name]}"
        for name in sorted(wanted.keys() & given.keys())
        if wanted[name] != given[name]
    ]
    if missing or unexpected or misshapen:
        counts = (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen))
        raise ModelError(
            describe(
                "The checkpoint does not match its network",
                where=checkpoint.path,
                found="; ".join(
                    f"{len(names)} {what}: {_examples(names)}" for what, names in counts if names
                ),
                expected=f"the {len(wanted)} tensors of {shape.name} with {shape.options}",
                fix="Use the complete checkpoint; limner cannot read one of a modified network.",
            )
        )
    state = {name: tensor.float() for name, tensor in renamed.tensors.items()}
    zero = torch.zeros((), dtype=torch.int64)
    return state | {name: renamed.tensors.get(name, zero).long() for name in counters}


def _examples(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
