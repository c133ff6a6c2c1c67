"""What the configurations of OpenMMLab's projects say; they are the same in all of them.

A configuration is in the checkpoint's `meta`, or the only Python file beside it, and is read as text.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from limner.core.errors import ModelError, describe
from limner.core.plan import ResizePlan
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import Inferred, Normalization
from limner.weights.how_read import IMAGES, UnknownInput
from limner.weights.renaming import Renamed
from limner.weights.sources.facts.dense_facts import imagenet
from limner.weights.sources.facts.openmmlab_backbones import FIRSTS, reverse_channels

CONFIGURATION = "the training's configuration"
ASSUMED = "assumed: as in the published configurations; no configuration is in the file or beside it"

_PREPROCESSORS = (("model", "data_preprocessor"), ("data_preprocessor",), ("img_norm_cfg",))
"""Places of mean, standard deviation and order of channels, in newer versions, mmpretrain and older ones."""

_PIPELINES = (
    *(("test_pipeline",), ("test_dataloader", "dataset", "pipeline"), ("data", "test", "pipeline")),
    *(("val_dataloader", "dataset", "pipeline"), ("data", "val", "pipeline")),
)


def section(values: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """Return the dict at some keys of a configuration, or an empty one."""
    found: Any = values
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def refuse_caffe_style(checkpoint: Checkpoint) -> None:
    """Refuse ResNets whose bottlenecks halve the size in their first convolution, as Caffe's do.

    Raises:
        ModelError: The configuration says so.
    """
    said = section(checkpoint.training, "model", "backbone")
    if said.get("style") == "caffe" and said.get("depth", 50) >= 50:
        raise ModelError(
            describe(
                "The checkpoint's ResNet halves the size in other layers than limner's",
                where=checkpoint.path,
                found="style 'caffe' of its backbone",
                expected="style 'pytorch'",
                fix="Use a checkpoint that was trained with style='pytorch'.",
            )
        )


def infer_preprocessing(
    checkpoint: Checkpoint, renamed: Renamed, *, firsts: Sequence[str] = FIRSTS
) -> tuple[Inferred[Normalization], dict[str, str]]:
    """Return mean and standard deviation in RGB order; of a network for BGR, the first layers are reversed.

    Args:
        checkpoint: The checkpoint.
        renamed: Its tensors by limner's names.
        firsts: Weights of the layers that read the image; those that the network lacks do not count.
    """
    said = _stated_preprocessing(checkpoint)
    if not said:
        return imagenet(f"ImageNet's ({ASSUMED})"), {"channel order": f"RGB ({ASSUMED})"}
    mean, std = (tuple(float(value) for value in said[key]) for key in ("mean", "std"))
    is_rgb = bool(said.get("bgr_to_rgb", said.get("to_rgb", False)))
    if is_rgb or len(mean) != 3:
        return Inferred(Normalization(mean, std), CONFIGURATION), {"channel order": f"RGB ({CONFIGURATION})"}
    reverse_channels(renamed, firsts)
    order = f"BGR; the first layer's channels are reversed, so RGB here ({CONFIGURATION})"
    return Inferred(Normalization(mean[::-1], std[::-1]), CONFIGURATION), {"channel order": order}


def unknown_images(checkpoint: Checkpoint) -> frozenset[UnknownInput]:
    """Return what is unknown about the images of the training, without a configuration that says it."""
    return frozenset() if _stated_preprocessing(checkpoint) else IMAGES


def _stated_preprocessing(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """Return the part of the configuration with the mean, or an empty one."""
    parts = (section(checkpoint.training, *keys) for keys in _PREPROCESSORS)
    return next((part for part in parts if part.get("mean")), {})


def infer_test_size(checkpoint: Checkpoint, usual: ResizePlan) -> Inferred[ResizePlan]:
    """Return how images are resized for prediction; without a configuration, as in the published ones."""
    if not checkpoint.training:
        return Inferred(usual, ASSUMED)
    for step in test_steps(checkpoint.training):
        scale = step.get("scale") or step.get("img_scale")
        if step.get("type") in ("Resize", "MultiScaleFlipAug", "RescaleToShortSide") and scale:
            return Inferred(_as_plan(scale, step, usual.multiple), f"test pipeline of {CONFIGURATION}")
    return Inferred(usual, "as in the published configurations; the one here has no size")


def test_steps(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the steps of the first pipeline for prediction, with those inside others."""
    for *keys, last in _PIPELINES:
        steps = section(config, *keys).get(last)
        if isinstance(steps, (list, tuple)):
            for step in steps:
                yield from _with_inner(step)
            return


def _with_inner(step: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(step, Mapping):
        yield step
        inner = step.get("transforms")
        for one in inner if isinstance(inner, (list, tuple)) else ():
            yield from _with_inner(one)


def _as_plan(scale: Any, step: Mapping[str, Any], multiple: int) -> ResizePlan:  # noqa: ANN401 - numbers
    if isinstance(scale, (list, tuple)) and scale and isinstance(scale[0], (list, tuple)):
        scale = scale[0]  # a list of scales, of which tests use the first
    first, second = scale if isinstance(scale, (list, tuple)) else (scale, scale)
    if step.get("keep_ratio", step.get("type") != "Resize"):
        short, long = sorted((int(first), int(second)))
        return ResizePlan(shortest=short, longest=long, multiple=multiple)
    return ResizePlan(size=(int(second), int(first)), multiple=multiple)  # they say width, height
