"""What is inferred of every checkpoint that scores pixels: classes, normalisation, licence.

Each value has a reason, which is shown and saved.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from limner.core.errors import ConfigError, ModelError, describe
from limner.core.labels import LabelClass, LabelTable, distinct_color
from limner.core.plan import ResizePlan
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import (
    SET_BY_USER,
    Asked,
    Conclusions,
    Inferred,
    NetworkShape,
    Normalization,
    PredictionWindow,
)
from limner.weights.how_read import UnknownInput
from limner.weights.sources.facts.image_facts import IMAGENET_MEAN, IMAGENET_STD, infer_normalization
from limner.weights.sources.facts.label_facts import framework_names, infer_labels, labels_of_names

TASK = "semantic"

RECIPE: Mapping[str, Any] = {
    "optimizer": {"learning_rate": 1e-4, "multipliers": {"backbone": 0.1}},
    "train": {"steps": 1, "batch_size": 8, "validate_every": 1, "save_every": 1},
}
"""Settings for continued training from the weights."""

BACKGROUND = LabelClass("background", (0,), (0, 0, 0))

UNCHANGED = Inferred(ResizePlan(), "the project does not resize images before prediction")


def conclude(
    checkpoint: Checkpoint,
    shape: NetworkShape,
    asked: Asked,
    *,
    normalization: Inferred[Normalization],
    resize: Inferred[ResizePlan] = UNCHANGED,
    window: Inferred[PredictionWindow] | None = None,
    facts: Mapping[str, str] | None = None,
    names: Inferred[Sequence[str]] | None = None,
    settings: Mapping[str, Inferred[Any]] | None = None,
    unknown: frozenset[UnknownInput] = frozenset(),
) -> Conclusions:
    """Return everything that the tensors of a network for semantic segmentation do not contain.

    Args:
        checkpoint: The checkpoint.
        shape: Its network.
        asked: What the caller has set.
        normalization: Mean and standard deviation.
        resize: How the project resizes images for prediction.
        window: Its sliding window.
        facts: Anything else, in words.
        names: Names of the classes that the project is known to use, if the checkpoint has none.
        settings: Dotted key -> further settings of the plan.
        unknown: What was assumed, since the project does not say it.

    Raises:
        ConfigError: The task is another one, or values are needed that the caller has to set.
        ModelError: There are more or fewer names than classes.
    """
    if asked.task not in (None, TASK):
        raise ConfigError(f"The checkpoint scores pixels, so its task is {TASK}; found --task {asked.task}.")
    return Conclusions(
        Inferred(TASK, "it scores each pixel"),
        _labels(checkpoint, shape.num_classes, asked, names),
        normalization_of_channels(shape.in_channels, normalization, asked),
        resize,
        stated_licence(checkpoint, asked),
        window,
        facts or {},
        settings or {},
        unknown,
    )


def imagenet(source: str) -> Inferred[Normalization]:
    """Return ImageNet's mean and standard deviation, in file values."""
    mean, std = (tuple(255 * value for value in values) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return Inferred(Normalization(_rounded(mean), _rounded(std)), source)


def preprocessor_normalization(checkpoint: Checkpoint) -> Inferred[Normalization]:
    """Return those of `preprocessor_config.json`, else ImageNet's."""
    found = infer_normalization(checkpoint)
    return found if checkpoint.preprocessor else imagenet("ImageNet's; there is no preprocessor_config.json")


def _rounded(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(value, 6) for value in values)


def normalization_of_channels(
    channels: int, known: Inferred[Normalization], asked: Asked
) -> Inferred[Normalization]:
    """Return the normalisation that the caller has set, or else the known one.

    Args:
        channels: Channels of the image.
        known: What is used if the caller has set none.
        asked: What the caller has set.

    Raises:
        ConfigError: The known one is of another number of channels, so the caller has to set it.
    """
    given = asked.settings.get("input", {})
    if "mean" in given and "std" in given:
        return Inferred(Normalization(tuple(given["mean"]), tuple(given["std"])), SET_BY_USER)
    if len(known.value.mean) == channels:
        return known
    example = ",".join(["127.5"] * channels)
    raise ConfigError(
        describe(
            f"The normalisation of the {channels} channels is unknown",
            found=f"{len(known.value.mean)} values ({known.why})",
            expected=f"{channels} means and standard deviations, in the values of the image files",
            fix=f"Set both: --set input.mean=[{example}] --set input.std=[{example}]",
        )
    )


def _labels(
    checkpoint: Checkpoint, num_classes: int, asked: Asked, names: Inferred[Sequence[str]] | None
) -> Inferred[LabelTable]:
    if num_classes == 1:
        return _background_and(asked.classes)
    if not asked.how_read.background:
        return _scored_labels(checkpoint, num_classes, asked, names)
    if asked.classes is not None and asked.classes.num_classes == num_classes + 1:
        return Inferred(asked.classes, "you set them; the first is the background")
    scored = _scored_labels(checkpoint, num_classes, asked, names)
    others = (replace(one, values=(i,)) for i, one in enumerate(scored.value.classes, start=1))
    why = f"{scored.why}; after a background, with mask values 0 to {num_classes}"
    return Inferred(LabelTable((BACKGROUND, *others)), why)


def _scored_labels(
    checkpoint: Checkpoint, num_classes: int, asked: Asked, names: Inferred[Sequence[str]] | None
) -> Inferred[LabelTable]:
    """Return the classes that the network has a score for."""
    usual = None
    if names is not None and len(names.value) == num_classes:
        usual = labels_of_names(names.value, names.why, checkpoint, num_classes, TASK)
    found = infer_labels(checkpoint, num_classes, TASK, asked.classes, usual)
    if asked.classes is not None or framework_names(checkpoint) is None:
        return found
    return Inferred(_with_palette(found.value, checkpoint), found.why)


def _background_and(classes: LabelTable | None) -> Inferred[LabelTable]:
    """Return the two classes of a network with one score per pixel."""
    if classes is not None and classes.num_classes == 2:
        return Inferred(classes, "you set them; the first is the background")
    if classes is not None and classes.num_classes != 1:
        raise ModelError(f"The network scores one class; found {classes.num_classes} names.")
    name = classes.names[0] if classes else "foreground"
    table = LabelTable((BACKGROUND, LabelClass(name, (1,), distinct_color(1))))
    why = "one score per pixel, so there are a background and one class; mask values 0 and 1"
    return Inferred(table, why)


def _with_palette(table: LabelTable, checkpoint: Checkpoint) -> LabelTable:
    """Return the classes in the colours that the framework stored."""
    inside = checkpoint.meta.get("dataset_meta") or {}
    colors = inside.get("palette") or checkpoint.meta.get("PALETTE")
    if not isinstance(colors, (list, tuple)) or len(colors) != table.num_classes:
        return table
    classes = (
        replace(one, color=(int(red), int(green), int(blue)))
        for one, (red, green, blue) in zip(table.classes, colors, strict=True)
    )
    return replace(table, classes=tuple(classes))


def stated_licence(checkpoint: Checkpoint, asked: Asked) -> Inferred[str | None]:
    """Return the licence that the caller or the checkpoint's README states, or None."""
    if asked.licence is not None:
        return Inferred(asked.licence, SET_BY_USER)
    stated = re.search(r"\A---\s.*?^license:\s*(\S+)", checkpoint.card, re.DOTALL | re.MULTILINE)
    if stated and stated[1] != "other":
        return Inferred(stated[1], "from the checkpoint's README.md")
    return Inferred(None, "not stated; ask its authors, and for the licence of the training data")


def norm_eps(config: Mapping[str, Any]) -> dict[str, str]:
    """Return what is said of the eps of a ViT's norms, of a configuration of transformers: ours is 1e-6."""
    eps = float(config.get("layer_norm_eps", 1e-12))
    return {} if eps == 1e-6 else {"eps of the norms": f"1e-6 instead of {eps:g}, which rounding hides"}
