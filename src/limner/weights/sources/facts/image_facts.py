"""Inference of image size and normalisation of a checkpoint."""

from collections.abc import Mapping

from limner.core.errors import ModelError, describe
from limner.core.plan import ResizePlan
from limner.weights.checkpoint_files import PREPROCESSOR, Checkpoint
from limner.weights.checkpoint_source import Inferred, Normalization
from limner.weights.sources.facts.known_data import SMALLEST
from limner.weights.sources.facts.label_facts import known_data

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""For RGB in 0..1; in all configuration files of the authors, and transformers' default."""

_HUGGING_FACE_SIZE = {"shortest_edge": 800, "longest_edge": 1333}


def infer_normalization(checkpoint: Checkpoint) -> Inferred[Normalization]:
    """Return mean and standard deviation in file values."""
    said = checkpoint.preprocessor
    factor = float(said.get("rescale_factor", 1 / 255)) if said.get("do_rescale", True) else 1.0
    mean = said.get("image_mean") or IMAGENET_MEAN
    std = said.get("image_std") or IMAGENET_STD
    if not said.get("do_normalize", True):
        mean, std = (0.0,) * 3, (1.0,) * 3
    value = Normalization(*(tuple(round(float(n) / factor, 6) for n in numbers) for numbers in (mean, std)))
    return Inferred(value, PREPROCESSOR if said else "ImageNet's, as in all of the authors' configurations")


def infer_resize(checkpoint: Checkpoint, num_classes: int, task: str, backbone: str) -> Inferred[ResizePlan]:
    """Return the size to which images are resized.

    Raises:
        ModelError: The size has an unknown format.
    """
    if checkpoint.config or checkpoint.preprocessor:
        why = PREPROCESSOR if checkpoint.preprocessor else f"no {PREPROCESSOR}: transformers' default"
        return Inferred(_hugging_face_resize(checkpoint), why)
    known = known_data(num_classes, task)
    if known is None:
        return Inferred(ResizePlan(multiple=SMALLEST), "size unknown, so images are not resized")
    return Inferred(known.resize(backbone=backbone), f"as in the authors' prediction of {known.name}")


def _hugging_face_resize(checkpoint: Checkpoint) -> ResizePlan:
    said = checkpoint.preprocessor
    if not said.get("do_resize", True):
        return ResizePlan()
    size = said.get("size", _HUGGING_FACE_SIZE)
    longest = said.get("max_size")
    if isinstance(size, int):
        size = {"shortest_edge": size}
    keys = {key for key, value in size.items() if value is not None} if isinstance(size, Mapping) else set()
    multiple = int(said.get("size_divisor", said.get("size_divisibility", SMALLEST)) or 1)
    if keys == {"height", "width"}:
        return ResizePlan(size=(size["height"], size["width"]), multiple=multiple)
    if "shortest_edge" in keys and keys <= {"shortest_edge", "longest_edge"}:
        longest = size.get("longest_edge") or longest
        return ResizePlan(shortest=size["shortest_edge"], longest=longest, multiple=multiple)
    raise ModelError(
        describe(
            "The image size has an unknown format",
            where=checkpoint.path / PREPROCESSOR,
            found=f"size {size}",
            expected="shortest_edge and longest_edge, or height and width",
        )
    )
