"""Plans for checkpoints of other projects, with what is known about them."""

from typing import Any

from limner.core.config import merge, parse_config
from limner.core.errors import ConfigError, ModelError, describe
from limner.core.plan import Plan, ResizePlan
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import CheckpointSource, Conclusions, NetworkShape

UNKNOWN = "unknown: limner did not train these weights"
WHOLE_IMAGE = 512
"""Crop size if unknown."""


def plan_of(
    checkpoint: Checkpoint, source: CheckpointSource, shape: NetworkShape, conclusions: Conclusions
) -> Plan:
    """Return a plan with all known settings; how the weights were trained is unknown.

    Raises:
        ModelError: A setting of the checkpoint is out of range.
    """
    resize = conclusions.resize.value
    side = resize.shortest or WHOLE_IMAGE
    values: dict[str, Any] = {
        "task": conclusions.task.value,
        "data": {
            "path": str(checkpoint.path),
            "format": source.title,
            "num_images": {},
            "labels": conclusions.labels.value.to_dict(),
        },
        "network": {"name": shape.name, "options": shape.options, "pretrained": "no"},
        "input": {
            "spatial_dims": shape.spatial_dims,
            "channels": shape.in_channels,
            "crop_size": resize.size or (side,) * shape.spatial_dims,
            "mean": conclusions.normalization.value.mean,
            "std": conclusions.normalization.value.std,
        },
        **source.recipe,
        "inference": {
            "resize": resize.model_dump(),
            **_window_settings(conclusions),
        },
        "reasons": {
            "task": conclusions.task.why,
            "data.labels": conclusions.labels.why,
            "network.options": "; ".join(
                ["from the shapes of the tensors", *(f"{k}: {why}" for k, why in shape.sources.items())]
            ),
            "network.pretrained": "all weights are from the checkpoint",
            "input.mean": conclusions.normalization.why,
            "input.std": conclusions.normalization.why,
            "inference.resize": conclusions.resize.why,
            "optimizer.learning_rate": f"for continued training; {UNKNOWN}",
            "train.steps": UNKNOWN,
            **{key: known.why for key, known in conclusions.settings.items()},
        },
    }
    for key, known in conclusions.settings.items():
        section, name = key.split(".")
        values = merge(values, {section: {name: known.value}})
    try:
        return parse_config(Plan, values, where="The checkpoint")
    except ConfigError as error:
        raise ModelError(
            describe("limner cannot use the checkpoint's settings", where=checkpoint.path, found=str(error))
        ) from error


def summarize(conclusions: Conclusions, shape: NetworkShape, parameters: int) -> dict[str, str]:
    """Return topic -> conclusion and its source, in words."""
    labels, resize, normal = conclusions.labels, conclusions.resize, conclusions.normalization
    names = ", ".join(labels.value.names[:5]) + ", ..." * (labels.value.num_classes > 5)
    return {
        "network": f"{shape.summary}, {parameters / 1e6:.1f} M parameters",
        "task": f"{conclusions.task.value} ({conclusions.task.why})",
        "classes": f"{labels.value.num_classes}: {names} ({labels.why})",
        **({"resize": f"{_resize_words(resize.value)} ({resize.why})"} if shape.spatial_dims == 2 else {}),
        "normalisation": f"mean {normal.value.mean}, std {normal.value.std} ({normal.why})",
        **{key: f"{known.value} ({known.why})" for key, known in conclusions.settings.items()},
        **_option_words(shape),
        **_window_words(conclusions),
        **conclusions.facts,
        "licence": f"{conclusions.licence.value or 'unknown'} ({conclusions.licence.why})",
    }


def _window_settings(conclusions: Conclusions) -> dict[str, Any]:
    window = conclusions.window
    return {} if window is None else {"window": window.value.size, "overlap": window.value.overlap}


def _window_words(conclusions: Conclusions) -> dict[str, str]:
    if conclusions.window is None:
        return {}
    window, why = conclusions.window.value, conclusions.window.why
    height, width = window.size
    return {"sliding window": f"{height} x {width}, overlap {window.overlap:.2f} ({why})"}


def _option_words(shape: NetworkShape) -> dict[str, str]:
    """Return option -> value and source, for those that tensors do not contain."""
    return {
        name.replace("_", " "): f"{shape.options.get(name)} ({why})" for name, why in shape.sources.items()
    }


def _resize_words(resize: ResizePlan) -> str:
    words = []
    if resize.size is not None:
        words.append(f"{resize.size[0]} x {resize.size[1]}")
    if resize.shortest is not None:
        words.append(f"shorter side {resize.shortest}")
    if resize.longest is not None:
        words.append(f"longer side at most {resize.longest}")
    if resize.multiple > 1:
        words.append(f"sides multiples of {resize.multiple}")
    return ", ".join(words) or "images as they are"
