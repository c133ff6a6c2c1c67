"""Classifiers of images as initial weights: their encoder is used, the rest of the network is new.

Recognised are the classifiers of `sources.classifiers`, and ResNets without their last layer; for other
encoders the user names the backbone, whose tensors are then matched by timm's names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from limner.core.errors import ConfigError, LimnerError, ModelError, describe
from limner.core.labels import LabelClass, LabelTable
from limner.core.plan import Plan, ResizePlan
from limner.networks import NETWORKS
from limner.networks.backbones.pretrained import fill_backbone
from limner.tasks import find_task
from limner.weights.checkpoint_files import CLASSIFIER_HEADS, Checkpoint
from limner.weights.checkpoint_source import (
    Asked,
    CheckpointSource,
    Conclusions,
    Inferred,
    NetworkShape,
    Normalization,
)
from limner.weights.imported_plan import plan_of
from limner.weights.model import Model
from limner.weights.renaming import tensor_sizes
from limner.weights.sources import SOURCES
from limner.weights.sources.classes.classifiers import CLASSIFIERS
from limner.weights.sources.facts.backbone_shapes import recognize_backbone
from limner.weights.sources.facts.dense_facts import RECIPE, TASK, imagenet
from limner.weights.transfer import Transfer

DEFAULT_NETWORK = "encoder-unet"
"""Network on the encoder, if the user names none."""


@dataclass(frozen=True)
class Encoder:
    """A classifier of images.

    Attributes:
        checkpoint: Its tensors, by timm's names, or by their own if the backbone is unknown.
        backbone: Its name, as in `build_backbone`, or None if unknown.
        normalization: Mean and standard deviation of its images, or None if unknown.
    """

    checkpoint: Checkpoint
    backbone: str | None
    normalization: Inferred[Normalization] | None = None


def recognize_encoder(checkpoint: Checkpoint) -> Encoder | None:
    """Return a classifier of images, or None if the checkpoint is something else."""
    source = next((one for one in SOURCES.values() if one.recognises(checkpoint)), None)
    if source is not None:
        return _of_classifier(source, checkpoint) if source in CLASSIFIERS.values() else None
    names = checkpoint.tensors
    is_resnet = "conv1.weight" in names and "layer1.0.conv1.weight" in names
    if not is_resnet and not any(name.startswith(CLASSIFIER_HEADS) for name in names):
        return None
    if not is_resnet:
        return Encoder(checkpoint, None)
    sizes = {f"backbone.{name}": size for name, size in tensor_sizes(names).items()}
    try:
        return Encoder(checkpoint, recognize_backbone(sizes, str(checkpoint.path)))
    except ModelError:
        return Encoder(checkpoint, None)


def _of_classifier(source: CheckpointSource, checkpoint: Checkpoint) -> Encoder:
    """Return the encoder of a recognised classifier; of a member that limner does not know, its tensors."""
    try:
        read = source.read(checkpoint, Asked())
    except ModelError:
        return Encoder(checkpoint, None)
    renamed = read.tensors
    tensors = {
        name.removeprefix("backbone.").removeprefix("model.")
        if name.startswith("backbone.")
        else renamed.theirs[name]: tensor
        for name, tensor in renamed.tensors.items()
    }
    named = replace(checkpoint, tensors=tensors)
    return Encoder(named, str(read.network.options["backbone"]), read.conclusions.normalization)


def encoder_plan(encoder: Encoder, wanted: Mapping[str, Any], *, task: str) -> Plan:
    """Return the plan of a network on the encoder, with its normalisation, or else ImageNet's.

    Args:
        encoder: The classifier.
        wanted: `name` and `options` of the network that the user set.
        task: The task to train.

    Raises:
        ConfigError: The network or the backbone has to be named, or the network has no encoder.
    """
    name = wanted.get("name") or DEFAULT_NETWORK
    if "name" not in wanted and not find_task(task).accepts(NETWORKS[DEFAULT_NETWORK].output):
        raise ConfigError(
            f"{encoder.checkpoint.path} is a classifier of images. Name the network to train on its encoder "
            f"for the task {task}, such as --network mask2former."
        )
    options = dict(wanted.get("options") or {})
    backbone = options.get("backbone") or encoder.backbone
    if name not in NETWORKS or "backbone" not in NETWORKS[name].options.model_fields:
        raise ConfigError(f"The network {name!r} has no encoder to load {encoder.checkpoint.path} into.")
    if backbone is None:
        raise ConfigError(
            describe(
                "The encoder's architecture is unknown",
                where=encoder.checkpoint.path,
                found=", ".join(list(encoder.checkpoint.tensors)[:3]),
                fix="Name it as timm does: --set network.options.backbone=NAME.",
            )
        )
    shape = NetworkShape(name, {**options, "backbone": backbone}, 2, 3, f"{name} on {backbone}")
    known = encoder.normalization
    conclusions = _CONCLUSIONS if known is None else replace(_CONCLUSIONS, normalization=known)
    return plan_of(encoder.checkpoint, _SOURCE, shape, conclusions)


def load_encoder(encoder: Encoder, model: Model) -> Transfer:
    """Load the encoder's tensors into the network; those of the classifier are skipped.

    Raises:
        ModelError: They do not fit its encoder.
    """
    backbone = model.network.get_submodule("backbone")
    used = fill_backbone(
        backbone,
        encoder.checkpoint.tensors,
        where=str(encoder.checkpoint.path),
        in_channels=model.plan.input.channels,
    )
    loaded = tuple(f"backbone.{name}" for name in backbone.state_dict())
    new = tuple(name for name in model.network.state_dict() if name not in set(loaded))
    skipped = tuple(sorted(encoder.checkpoint.tensors.keys() - used))
    return Transfer(loaded, (), (), (), new, skipped)


def _nothing(*_: object) -> Any:  # noqa: ANN401 - never called
    raise LimnerError("an encoder has no scores of pixels")


_SOURCE = CheckpointSource(
    "a classifier of images", "an encoder", "conv1.weight", lambda _: False, _nothing, RECIPE
)
_CONCLUSIONS = Conclusions(
    Inferred(TASK, "the default"),
    Inferred(
        LabelTable((LabelClass("none", (0,), (0, 0, 0)), LabelClass("other", (1,), (255, 255, 255)))),
        "the encoder has none",
    ),
    imagenet("ImageNet's, which classifiers of images expect"),
    Inferred(ResizePlan(), "not resized"),
    Inferred(None, "not stated"),
)
