"""Other projects' Mask2Former checkpoints as models of ours.

Read are folders as Hugging Face `transformers` saves them, and the authors' Detectron2 files (.pkl of numpy
arrays, .pth). The numbers are taken as they are; `tests/weights/` compares the outputs.
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
from limner.weights.checkpoint_facts import (
    infer_labels,
    infer_licence,
    infer_task,
    tell_heads,
)
from limner.weights.checkpoint_files import Checkpoint, read_checkpoint
from limner.weights.checkpoint_images import infer_normalization, infer_resize
from limner.weights.imported_plan import Conclusions, plan_of, summarize
from limner.weights.mask2former_names import NAMINGS
from limner.weights.mask2former_shape import Mask2FormerShape, read_shape
from limner.weights.model import Model
from limner.weights.renaming import Naming, Renamed, rename

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
    """Read somebody else's Mask2Former.

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
    found = _read(path, task=task, classes=classes, licence=licence)
    model = Model.from_plan(found.plan)
    model.network.load_state_dict(found.state)
    model.eval()
    facts = summarize(found.told, found.shape, sum(p.numel() for p in model.network.parameters()))
    return Imported(
        model,
        found.naming.title,
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
    return _read(path, task=task).plan


@dataclass(frozen=True)
class _Read:
    """A checkpoint in our names, and what was concluded of it."""

    checkpoint: Checkpoint
    naming: Naming
    renamed: Renamed
    shape: Mask2FormerShape
    state: dict[str, torch.Tensor]
    told: Conclusions
    plan: Plan


def _read(
    path: Path | str,
    *,
    task: str | None = None,
    classes: LabelTable | None = None,
    licence: str | None = None,
) -> _Read:
    checkpoint = read_checkpoint(Path(path).expanduser())
    naming = _naming(checkpoint)
    renamed = rename(checkpoint.tensors, naming)
    shape = read_shape(renamed.tensors, heads=tell_heads(checkpoint), where=str(checkpoint.path))
    state = _fitting_state(renamed, shape, checkpoint)
    backbone = shape.options["backbone"]
    said_task = infer_task(checkpoint, shape.num_classes, task)
    told = Conclusions(
        said_task,
        infer_labels(checkpoint, shape.num_classes, said_task.value, classes),
        infer_normalization(checkpoint),
        infer_resize(checkpoint, shape.num_classes, said_task.value, backbone),
        infer_licence(checkpoint, shape.num_classes, licence),
    )
    plan = plan_of(checkpoint, naming.title, shape, told)
    return _Read(checkpoint, naming, renamed, shape, state, told, plan)


def _naming(checkpoint: Checkpoint) -> Naming:
    """Tell by the names who wrote the checkpoint."""
    for naming in NAMINGS:
        if any(re.search(naming.sign, name) for name in checkpoint.tensors):
            return naming
    names = sorted(checkpoint.tensors)
    tell_heads(checkpoint)  # says it better where config.json names another architecture
    raise ModelError(
        describe(
            "The checkpoint is of another architecture",
            where=checkpoint.path,
            found=f"{len(names)} tensors, such as {', '.join(names[:SHOWN])}",
            expected="a Mask2Former: model.transformer_module.queries_features.weight (Hugging Face) or "
            "sem_seg_head.predictor.query_feat.weight (the authors')",
            fix="Other networks begin with encoder weights alone, or with a model folder of limner.",
        )
    )


def _fitting_state(
    renamed: Renamed, shape: Mask2FormerShape, checkpoint: Checkpoint
) -> dict[str, torch.Tensor]:
    """Return the tensors of the network, float32, all there and of the right shapes.

    Raises:
        ModelError: Some are missing, too many, or of other shapes; each with counts and examples.
    """
    with torch.device("meta"):
        network = build_network(
            "mask2former", num_classes=shape.num_classes, in_channels=shape.in_channels, **shape.options
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
        counts = (("missing", missing), ("too many", unexpected), ("of another shape", misshapen))
        raise ModelError(
            describe(
                "The checkpoint does not fit the network that it should be",
                where=checkpoint.path,
                found="; ".join(
                    f"{len(names)} {what}: {_examples(names)}" for what, names in counts if names
                ),
                expected=f"the {len(wanted)} tensors of mask2former with {shape.options}",
                fix="Take the whole file; if its maker changed the network, limner cannot read it.",
            )
        )
    state = {name: tensor.float() for name, tensor in renamed.tensors.items()}
    zero = torch.zeros((), dtype=torch.int64)
    return state | {name: renamed.tensors.get(name, zero).long() for name in counters}


def _examples(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
