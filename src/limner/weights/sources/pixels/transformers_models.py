"""Networks of Hugging Face `transformers` that score pixels: SegFormer, UPerNet on Swin, ConvNeXt, ResNet."""

import re
from collections.abc import Callable
from typing import Any

from limner.core.errors import ModelError, describe
from limner.core.plan import ResizePlan
from limner.weights.checkpoint_files import CONFIG, Checkpoint
from limner.weights.checkpoint_source import Asked, CheckpointSource, Inferred, NetworkShape, ReadNetwork
from limner.weights.renaming import Naming, rename
from limner.weights.sources.facts.backbone_shapes import (
    Sizes,
    input_channels,
    norm_options,
    recognize_backbone,
)
from limner.weights.sources.facts.dense_facts import (
    RECIPE,
    TASK,
    UNCHANGED,
    conclude,
    preprocessor_normalization,
)
from limner.weights.sources.facts.image_facts import infer_resize
from limner.weights.sources.pixels.transformers_names import SEGFORMER, UPERNET


def _segformer(sizes: Sizes) -> dict[str, Any]:
    return {"channels": sizes.get("head.conv.weight", (1, 256))[1]}


def _upernet(sizes: Sizes) -> dict[str, Any]:
    side = sizes.get("auxiliary_head.classifier.conv.weight")
    return {
        "channels": sizes.get("head.conv.weight", (1, 512))[1],
        **norm_options(sizes),
        **({"auxiliary_channels": side[1]} if side else {"auxiliary": False}),
    }


def _source(
    network: str, architecture: str, naming: Naming, options: Callable[[Sizes], dict[str, Any]]
) -> CheckpointSource:
    def recognises(checkpoint: Checkpoint) -> bool:
        return any(re.search(naming.sign, name) for name in checkpoint.tensors)

    def read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
        renamed = rename(checkpoint.tensors, naming)
        sizes = renamed.sizes
        _refuse_no_head(sizes, checkpoint)
        backbone = asked.options.get("backbone") or recognize_backbone(sizes, str(checkpoint.path))
        found = {"backbone": backbone, **options(sizes), **asked.options}
        classes = sizes["head.conv.weight"][0]
        shape = NetworkShape(network, found, classes, input_channels(sizes), f"{architecture} on {backbone}")
        return ReadNetwork(
            shape,
            renamed,
            conclude(
                checkpoint,
                shape,
                asked,
                normalization=preprocessor_normalization(checkpoint),
                resize=_resize(checkpoint, classes, str(backbone)),
            ),
        )

    example = naming.sign.replace("^", "").replace("\\", "") + "..."
    return CheckpointSource(naming.title, architecture, example, recognises, read, RECIPE)


def _resize(checkpoint: Checkpoint, classes: int, backbone: str) -> Inferred[ResizePlan]:
    if not checkpoint.preprocessor:
        return UNCHANGED
    found = infer_resize(checkpoint, classes, TASK, backbone)
    multiple = int(checkpoint.preprocessor.get("size_divisor") or 1)  # these accept any size
    return Inferred(found.value.model_copy(update={"multiple": multiple}), found.why)


def _refuse_no_head(sizes: Sizes, checkpoint: Checkpoint) -> None:
    if "head.conv.weight" not in sizes:
        raise ModelError(
            describe(
                "The checkpoint has no classifier of pixels, so its classes are unknown",
                where=checkpoint.path,
                found=f"{CONFIG}: {checkpoint.config.get('architectures', 'none')}",
                expected="SegformerForSemanticSegmentation or UperNetForSemanticSegmentation",
            )
        )


SEGFORMER_HUGGING_FACE = _source("segformer", "SegFormer", SEGFORMER, _segformer)
UPERNET_HUGGING_FACE = _source("upernet", "UPerNet", UPERNET, _upernet)
