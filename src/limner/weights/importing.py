"""Other projects' checkpoints as models of ours: whose they are stands in `SOURCES`, the rest is the same.

The numbers are taken as they are; `tests/weights/` compares the outputs.
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
from limner.weights.checkpoint_files import Checkpoint, read_checkpoint
from limner.weights.checkpoint_source import Asked, CheckpointSource, Conclusions, NetworkShape
from limner.weights.imported_plan import plan_of, summarize
from limner.weights.model import Model
from limner.weights.renaming import Renamed, rename
from limner.weights.sources import SOURCES

SHOWN = 3
"""Names that a message gives as examples."""


@dataclass(frozen=True)
class Imported:
    """A model made from a checkpoint, and what was found out.

    Attributes:
        model: In evaluation mode on the CPU.
        source: The project that wrote the checkpoint.
        path: The checkpoint.
        licence: Of the weights, or None where nobody states one.
        facts: What was concluded -> the conclusion and where it is from, for people.
        num_loaded: Tensors of the network that were filled.
        idle: Names of the checkpoint's tensors that prediction does not need.
    """

    model: Model
    source: str
    path: Path
    licence: str | None
    facts: Mapping[str, str]
    num_loaded: int
    idle: tuple[str, ...]

    @property
    def origin(self) -> dict[str, Any]:
        """What the model's card says about where it is from."""
        return {"imported_from": str(self.path), "written_by": self.source, **self.facts}


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
        task: ``semantic``, ``instance`` or ``panoptic``, where the checkpoint does not tell.
        classes: The classes in trained order, where it does not tell.
        licence: Of the weights, where it does not tell.

    Raises:
        ModelError: There is no checkpoint, it is damaged, of another architecture, lacks tensors, has others,
            or is a pickle that could run code.
        ConfigError: Nothing tells the task.
    """
    found = _read(path, Asked(task, classes, licence))
    model = Model.from_plan(found.plan)
    model.network.load_state_dict(found.state)
    model.eval()
    facts = summarize(found.told, found.shape, sum(p.numel() for p in model.network.parameters()))
    return Imported(
        model,
        found.source.naming.title,
        found.checkpoint.path,
        found.told.licence.value,
        facts,
        len(found.state),
        found.renamed.idle,
    )


def read_checkpoint_plan(path: Path | str, *, task: str | None = None) -> Plan:
    """Return the plan that `import_checkpoint` gives its model, without building that.

    Args:
        path: As there.
        task: As there.

    Raises:
        ModelError: As there.
        ConfigError: Nothing tells the task.
    """
    return _read(path, Asked(task)).plan


@dataclass(frozen=True)
class _Read:
    """A checkpoint in our names, and what was concluded of it."""

    checkpoint: Checkpoint
    source: CheckpointSource
    renamed: Renamed
    shape: NetworkShape
    state: dict[str, torch.Tensor]
    told: Conclusions
    plan: Plan


def _read(path: Path | str, asked: Asked) -> _Read:
    checkpoint = read_checkpoint(Path(path).expanduser())
    source = _source_of(checkpoint)
    renamed = rename(checkpoint.tensors, source.naming)
    shape = source.read_shape(checkpoint, renamed)
    state = _fitting_state(renamed, shape, checkpoint)
    told = source.infer(checkpoint, shape, asked)
    plan = plan_of(checkpoint, source, shape, told)
    return _Read(checkpoint, source, renamed, shape, state, told, plan)


def _source_of(checkpoint: Checkpoint) -> CheckpointSource:
    """Tell by the names of the tensors who wrote the checkpoint."""
    for source in SOURCES.values():
        if any(re.search(source.naming.sign, name) for name in checkpoint.tensors):
            return source
    names = sorted(checkpoint.tensors)
    for source in SOURCES.values():
        source.refuse_others(checkpoint)  # says it better where config.json names another architecture
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
    """Return the tensors of the network, float32, all there and of the right shapes.

    Raises:
        ModelError: Some are missing, too many, or of other shapes; each with counts and examples.
    """
    with torch.device("meta"):
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
