"""What is inferred of every checkpoint for volumes: classes, normalisation, further settings."""

from collections.abc import Mapping, Sequence
from typing import Any

from limner.core.errors import ConfigError, describe
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import Asked, Conclusions, Inferred, NetworkShape, Normalization
from limner.weights.sources.facts.dense_facts import conclude

UNKNOWN_NAMES = "names unknown; set them with --classes"

EACH, OVER = "input.normalize_each", "input.normalize_over"


def conclude_volumes(
    checkpoint: Checkpoint,
    shape: NetworkShape,
    asked: Asked,
    *,
    normalization: Inferred[Normalization] | None = None,
    names: Inferred[Sequence[str]] | None = None,
    settings: Mapping[str, Inferred[Any]] | None = None,
    facts: Mapping[str, str] | None = None,
) -> Conclusions:
    """Return everything that the tensors of a network for volumes, or their slices, do not contain.

    Args:
        checkpoint: The checkpoint.
        shape: Its network.
        asked: What the caller has set.
        normalization: Mean and standard deviation after clipping; None if unknown.
        names: Names of the classes, if the checkpoint has them.
        settings: Dotted key -> further settings of the plan.
        facts: Anything else, in words.

    Raises:
        ConfigError: The normalisation is unknown, and the caller did not set it.
        ModelError: There are more or fewer names than classes.
    """
    given = asked.settings.get("input", {})
    known = dict(settings or {})
    if normalization is None and given.get("normalize_each"):
        normalization = Inferred(identity(shape.in_channels), f"you set {EACH}")
    elif normalization is None and not {"mean", "std"} <= given.keys():
        raise ConfigError(_unknown_normalization(checkpoint, shape.in_channels))
    if names is None:
        names = Inferred([f"class_{index}" for index in range(shape.num_classes)], UNKNOWN_NAMES)
    return conclude(
        checkpoint,
        shape,
        asked,
        normalization=normalization or Inferred(Normalization((), ()), "unknown"),
        names=names,
        settings=known,
        facts=facts,
    )


def identity(channels: int) -> Normalization:
    """Return the normalisation that leaves values as they are."""
    return Normalization((0.0,) * channels, (1.0,) * channels)


def _unknown_normalization(checkpoint: Checkpoint, channels: int) -> str:
    zeros, ones = ",".join(["0"] * channels), ",".join(["1"] * channels)
    return describe(
        "The normalisation of the images is unknown: a state dict does not contain it",
        where=checkpoint.path,
        expected="as in training: each volume by its own mean and deviation, or fixed values",
        fix=f"Set {EACH}=true, or both input.mean=[{zeros}] and input.std=[{ones}], with --set; and for CT "
        "the range of values with --set input.clip=[[-175,250]].",
    )
