"""A plan for a checkpoint of another project: what is known of it, and where from."""

from limner.core.config import parse_config
from limner.core.errors import ConfigError, ModelError, describe
from limner.core.plan import Plan, ResizePlan
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import CheckpointSource, Conclusions, NetworkShape

UNKNOWN = "not known: limner did not train these weights"
WHOLE_IMAGE = 512
"""Stands for the size of a crop where nothing tells one."""


def plan_of(checkpoint: Checkpoint, source: CheckpointSource, shape: NetworkShape, told: Conclusions) -> Plan:
    """Return a plan with all that is known; how the weights were trained is not.

    Raises:
        ModelError: A setting of the checkpoint is out of range.
    """
    resize = told.resize.value
    side = resize.shortest or WHOLE_IMAGE
    values = {
        "task": told.task.value,
        "data": {
            "path": str(checkpoint.path),
            "format": source.naming.title,
            "num_images": {},
            "labels": told.labels.value.to_dict(),
        },
        "network": {"name": shape.name, "options": shape.options, "pretrained": "no"},
        "input": {
            "channels": shape.in_channels,
            "crop_size": resize.size or (side, side),
            "mean": told.normalization.value.mean,
            "std": told.normalization.value.std,
        },
        **source.recipe,
        "inference": {"resize": resize.model_dump()},
        "reasons": {
            "task": told.task.why,
            "data.labels": told.labels.why,
            "network.options": "from the shapes of the tensors",
            "network.pretrained": "every weight is the checkpoint's",
            "input.mean": told.normalization.why,
            "input.std": told.normalization.why,
            "inference.resize": told.resize.why,
            "optimizer.learning_rate": f"the paper's; {UNKNOWN}",
            "train.steps": UNKNOWN,
        },
    }
    try:
        return parse_config(Plan, values, where="The checkpoint")
    except ConfigError as error:
        raise ModelError(
            describe("limner cannot use the checkpoint's settings", where=checkpoint.path, found=str(error))
        ) from error


def summarize(told: Conclusions, shape: NetworkShape, parameters: int) -> dict[str, str]:
    """Return what was concluded -> the conclusion and where it is from, for people."""
    labels, resize, normal = told.labels, told.resize, told.normalization
    names = ", ".join(labels.value.names[:5]) + ", ..." * (labels.value.num_classes > 5)
    return {
        "network": f"{shape.summary}, {parameters / 1e6:.1f} M numbers",
        "task": f"{told.task.value} ({told.task.why})",
        "classes": f"{labels.value.num_classes}: {names} ({labels.why})",
        "resize": f"{_resize_words(resize.value)} ({resize.why})",
        "normalisation": f"RGB, mean {normal.value.mean}, std {normal.value.std} ({normal.why})",
        "licence": f"{told.licence.value or 'unknown'} ({told.licence.why})",
    }


def _resize_words(resize: ResizePlan) -> str:
    words = []
    if resize.size is not None:
        words.append(f"{resize.size[0]} x {resize.size[1]}")
    if resize.shortest is not None:
        words.append(f"shorter side {resize.shortest}")
    if resize.longest is not None:
        words.append(f"longer at most {resize.longest}")
    if resize.multiple > 1:
        words.append(f"sides multiples of {resize.multiple}")
    return ", ".join(words) or "images as they are"
