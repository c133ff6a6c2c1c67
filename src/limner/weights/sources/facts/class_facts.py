"""What is inferred of every checkpoint that scores whole images: its classes."""

from limner.core.labels import LabelTable
from limner.networks.backbones.image_encoder import imagenet_names
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import Asked, Inferred
from limner.weights.sources.facts.label_facts import infer_labels, labels_of_names

IMAGENET_CLASSES = 1000


def image_class_labels(
    checkpoint: Checkpoint, classes: int, asked: Asked, task: str = "classification"
) -> Inferred[LabelTable]:
    """Return the classes of whole images in trained order.

    Args:
        checkpoint: The checkpoint.
        classes: Number of scores of an image.
        asked: What the caller has set.
        task: A row of `TASKS` that scores whole images.

    Raises:
        ModelError: There are more or fewer names than classes.
    """
    usual = None
    if classes == IMAGENET_CLASSES:
        why = f"assumed to be those of ImageNet-1k, since there are {classes}"
        usual = labels_of_names(imagenet_names(), why, checkpoint, classes, task)
    return infer_labels(checkpoint, classes, task, asked.classes, usual)
