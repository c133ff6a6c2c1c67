"""What is inferred of every checkpoint of queries that become boxes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from limner.core.errors import ConfigError, ModelError, describe
from limner.core.labels import LabelClass, LabelTable, distinct_color
from limner.core.plan import ResizePlan
from limner.formats.public import class_tables
from limner.weights.checkpoint_files import CONFIG, Checkpoint
from limner.weights.checkpoint_source import Asked, Conclusions, Inferred, Normalization
from limner.weights.how_read import UnknownInput
from limner.weights.renaming import Renamed
from limner.weights.sources.facts.dense_facts import stated_licence
from limner.weights.sources.facts.label_facts import infer_labels

TASK = "detection"

COCO_IDS = 91
"""Number of scores of networks that score COCO's category ids, which have gaps, instead of its 80 classes."""


def box_recipe(loss: Mapping[str, Any], *, batch_size: int) -> dict[str, Any]:
    """Return the settings of the DETR family for continued training; `loss` has the options of its loss."""
    return {
        "loss": {"terms": [{"name": "box_set", "options": dict(loss)}]},
        "optimizer": {"learning_rate": 1e-4, "weight_decay": 1e-4, "multipliers": {"backbone": 0.1}},
        "train": {
            "steps": 1,
            "batch_size": batch_size,
            "validate_every": 1,
            "save_every": 1,
            "gradient_clip": 0.1,
        },
    }


def refuse_variants(checkpoint: Checkpoint, fixed: Mapping[str, Sequence[Any]], what: str) -> None:
    """Refuse settings of `config.json` that limner's network does not have.

    Args:
        checkpoint: The checkpoint.
        fixed: Setting -> the values that limner's network has, the usual one first.
        what: The architecture, for the message.

    Raises:
        ModelError: A setting has another value.
    """
    other = [
        f"{key} {checkpoint.config[key]!r}"
        for key, values in fixed.items()
        if key in checkpoint.config and checkpoint.config[key] not in values
    ]
    if other:
        raise ModelError(
            describe(
                f"The checkpoint is an unsupported variant of {what}",
                where=checkpoint.path / CONFIG,
                found=", ".join(other),
                expected=", ".join(f"{key} {values[0]!r}" for key, values in fixed.items()),
            )
        )


def share_heads(renamed: Renamed, layers: int) -> None:
    """Give each layer of the decoder the heads of the first, if they are stored once for all."""
    first = [name for name in renamed.tensors if re.match(r"decoder\.(classifiers|regressors)\.0\.", name)]
    for layer in range(1, layers):
        for name in first:
            own = name.replace(".0.", f".{layer}.", 1)
            if own not in renamed.tensors:
                renamed.tensors[own] = renamed.tensors[name].clone()
                renamed.theirs[own] = renamed.theirs[name]


def conclude_boxes(
    checkpoint: Checkpoint,
    classes: int,
    asked: Asked,
    *,
    normalization: Inferred[Normalization],
    resize: Inferred[ResizePlan],
    facts: Mapping[str, str] | None = None,
    unknown: frozenset[UnknownInput] = frozenset(),
) -> Conclusions:
    """Return everything that the tensors of a network of boxes do not contain.

    Args:
        checkpoint: The checkpoint.
        classes: Number of scores of a box.
        asked: What the caller has set.
        normalization: Mean and standard deviation.
        resize: How the project resizes images for prediction.
        facts: Anything else, in words.
        unknown: What was assumed, since the project does not say it.

    Raises:
        ConfigError: The task is another one.
        ModelError: There are more or fewer names than classes.
    """
    if asked.task not in (None, TASK):
        raise ConfigError(f"The checkpoint predicts boxes, so its task is {TASK}; found --task {asked.task}.")
    return Conclusions(
        Inferred(TASK, "it predicts boxes"),
        box_labels(checkpoint, classes, asked),
        normalization,
        resize,
        stated_licence(checkpoint, asked),
        facts=facts or {},
        unknown=unknown,
    )


def box_labels(checkpoint: Checkpoint, classes: int, asked: Asked) -> Inferred[LabelTable]:
    """Return the classes of boxes in trained order.

    Raises:
        ModelError: There are more or fewer names than classes.
    """
    usual = None
    if classes in (COCO_IDS, 80):
        usual = Inferred(_coco_labels(classes), f"assumed to be those of COCO, since there are {classes}")
    return infer_labels(checkpoint, classes, TASK, asked.classes, usual)


def _coco_labels(classes: int) -> LabelTable:
    """Return COCO's 80 things, or its category ids with the gaps between them."""
    things = class_tables.coco_panoptic().things()
    if classes != COCO_IDS:
        return things
    by_id = {thing.values[0]: thing for thing in things.classes}
    unused = (LabelClass(f"unused {i}", (i,), distinct_color(i)) for i in range(classes) if i not in by_id)
    return LabelTable(tuple(sorted((*by_id.values(), *unused), key=lambda one: one.values[0])))
