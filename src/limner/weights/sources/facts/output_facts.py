"""What is inferred of a state dict of unknown origin, by what the network that the user named predicts."""

from collections.abc import Mapping

from limner.core.errors import ConfigError, describe
from limner.core.labels import LabelTable
from limner.core.outputs import ClassLogits, DenseLogits, OutputKind, QueryBoxes, QueryMasks, TextMaps
from limner.core.plan import ResizePlan
from limner.networks import NETWORKS
from limner.tasks import TASKS
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import (
    SET_BY_USER,
    Asked,
    Conclusions,
    Inferred,
    NetworkShape,
    Normalization,
)
from limner.weights.how_read import IMAGES, IMAGES_AND_CLASSES
from limner.weights.sources.facts.box_facts import box_labels
from limner.weights.sources.facts.class_facts import image_class_labels
from limner.weights.sources.facts.dense_facts import (
    conclude,
    imagenet,
    normalization_of_channels,
    stated_licence,
)
from limner.weights.sources.facts.label_facts import infer_labels, infer_task
from limner.weights.sources.facts.text_facts import text_labels
from limner.weights.sources.facts.volume_conclusions import conclude_volumes

UNKNOWN_NORMALIZATION = "assumed: ImageNet's; set them with --set input.mean=[...] --set input.std=[...]"


def loss_of_output(kind: OutputKind) -> str | None:
    """Return the name of the loss of an output kind, or None if there are several."""
    objective = next(task.objectives[kind] for task in TASKS.values() if task.accepts(kind))
    own = objective.losses - ({objective.distillation.name} if objective.distillation else set())
    return next(iter(own)) if len(own) == 1 else None


def conclude_by_output(
    checkpoint: Checkpoint, shape: NetworkShape, asked: Asked, *, facts: Mapping[str, str]
) -> Conclusions:
    """Return everything that the tensors of a network that the user named do not contain.

    Args:
        checkpoint: The checkpoint.
        shape: Its network.
        asked: What the caller has set.
        facts: Anything else, in words.

    Raises:
        ConfigError: The task is needed and not given, or the network cannot be used for the given one; or the
            normalisation of these channels has to be set.
        ModelError: There are more or fewer names than classes.
    """
    kind = NETWORKS[shape.name].output
    normalization = imagenet(UNKNOWN_NORMALIZATION)
    resize = Inferred(ResizePlan(), "unknown, so images are not resized; --set inference.resize.shortest=N")
    if kind is DenseLogits and shape.spatial_dims == 3:
        return conclude_volumes(checkpoint, shape, asked, facts=facts)
    if kind is DenseLogits:
        return conclude(
            checkpoint,
            shape,
            asked,
            normalization=normalization,
            resize=resize,
            facts=facts,
            unknown=IMAGES_AND_CLASSES,
        )
    if shape.spatial_dims == 3:
        normalization = Inferred(Normalization((), ()), "unknown")
    task = _infer_task(checkpoint, shape, asked)
    return Conclusions(
        task,
        _infer_labels(checkpoint, shape.num_classes, asked, task.value),
        normalization_of_channels(shape.in_channels, normalization, asked),
        resize,
        stated_licence(checkpoint, asked),
        facts=facts,
        unknown=IMAGES,
    )


def _infer_task(checkpoint: Checkpoint, shape: NetworkShape, asked: Asked) -> Inferred[str]:
    """Return the task, which has to be given where the network can be used for several."""
    kind = NETWORKS[shape.name].output
    tasks = [name for name, task in TASKS.items() if task.accepts(kind)]
    if asked.task is not None and asked.task not in tasks:
        raise ConfigError(
            f"The network {shape.name} is for the task {' or '.join(tasks)}; found --task {asked.task}."
        )
    if asked.task is not None:
        return Inferred(asked.task, SET_BY_USER)
    if len(tasks) == 1:
        return Inferred(tasks[0], f"the task of {shape.name}")
    if kind is QueryMasks:
        return infer_task(checkpoint, shape.num_classes, None)
    raise ConfigError(
        describe(
            "The task of the checkpoint is unknown",
            where=checkpoint.path,
            found=f"the network {shape.name}",
            expected=" or ".join(tasks),
            fix=f"Set it: --task {tasks[0]}.",
        )
    )


def _infer_labels(checkpoint: Checkpoint, num_classes: int, asked: Asked, task: str) -> Inferred[LabelTable]:
    kind_of_task = TASKS[task]
    if kind_of_task.accepts(ClassLogits):
        return image_class_labels(checkpoint, num_classes, asked, task)
    if kind_of_task.accepts(TextMaps):
        return text_labels(asked)
    if kind_of_task.accepts(QueryBoxes):
        return box_labels(checkpoint, num_classes, asked)
    return infer_labels(checkpoint, num_classes, task, asked.classes)
