"""Segmentation networks of torchvision: FCN and DeepLabV3 on a ResNet or MobileNetV3, and LR-ASPP."""

from collections.abc import Sequence
from typing import Any

from limner.core.plan import ResizePlan
from limner.formats.tools.voc import VOC_NAMES
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import Asked, CheckpointSource, Inferred, NetworkShape, ReadNetwork
from limner.weights.how_read import IMAGES
from limner.weights.renaming import Naming, Rule, rename
from limner.weights.sources.facts.backbone_shapes import input_channels, recognize_backbone
from limner.weights.sources.facts.dense_facts import RECIPE, UNCHANGED, conclude, imagenet

TITLE = "torchvision"

_HEADS: tuple[Rule, ...] = (
    (r"^classifier\.4\.", "head.conv."),
    (r"^aux_classifier\.0\.", "auxiliary_head.convs.0.conv."),
    (r"^aux_classifier\.1\.", "auxiliary_head.convs.0.norm."),
    (r"^aux_classifier\.4\.", "auxiliary_head.classifier.conv."),
)
_FCN: tuple[Rule, ...] = (
    (r"^classifier\.0\.", "context.0.conv."),
    (r"^classifier\.1\.", "context.0.norm."),
)
_DEEPLAB: tuple[Rule, ...] = (
    (r"^classifier\.0\.convs\.4\.1\.", "context.0.image_branch.conv."),
    (r"^classifier\.0\.convs\.4\.2\.", "context.0.image_branch.norm."),
    (r"^classifier\.0\.convs\.(\d)\.0\.", r"context.0.branches.\1.conv."),
    (r"^classifier\.0\.convs\.(\d)\.1\.", r"context.0.branches.\1.norm."),
    (r"^classifier\.0\.project\.0\.", "context.0.projection.conv."),
    (r"^classifier\.0\.project\.1\.", "context.0.projection.norm."),
    (r"^classifier\.1\.", "context.1.conv."),
    (r"^classifier\.2\.", "context.1.norm."),
)

_LRASPP: tuple[Rule, ...] = (
    (r"^classifier\.cbr\.0\.", "context.conv."),
    (r"^classifier\.cbr\.1\.", "context.norm."),
    (r"^classifier\.scale\.1\.", "gate."),
    (r"^classifier\.low_classifier\.", "fine_head.conv."),
    (r"^classifier\.high_classifier\.", "head.conv."),
)
_MOBILE: Rule = (r"^backbone\.(\d)", r"backbone.features.\1")
MOBILE = "mobilenet_v3_large"

_NETWORKS: dict[str, tuple[tuple[Rule, ...], dict[str, Any]]] = {
    "fcn": (_FCN, {"num_convs": 1, "joins_input": False}),
    "deeplabv3": (
        _DEEPLAB,
        {"projection_kernel": 1, "projection_dropout": 0.5, "refines_context": True, "dropout": 0.0},
    ),
    "lraspp": (_LRASPP, {}),
}

_RESIZED = Inferred(
    ResizePlan(shortest=520), "520, as the transforms of torchvision's published weights; 21 classes"
)


def _recognises(checkpoint: Checkpoint) -> bool:
    return any(name.startswith("backbone.") for name in checkpoint.tensors) and (
        "classifier.4.weight" in checkpoint.tensors or "classifier.cbr.0.weight" in checkpoint.tensors
    )


def _read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    is_mobile = "backbone.0.0.weight" in checkpoint.tensors
    name = _name(checkpoint)
    rules, options = _NETWORKS[name]
    renamed = rename(checkpoint.tensors, Naming(TITLE, "", (*[_MOBILE] * is_mobile, *_HEADS, *rules)))
    sizes = renamed.sizes
    backbone = MOBILE if is_mobile else recognize_backbone(sizes, str(checkpoint.path))
    side = sizes.get("auxiliary_head.classifier.conv.weight")
    width = sizes.get("head.conv.weight", (21, 256))
    fixed: dict[str, Any] = {"output_stride": 16 if is_mobile else 8}
    if name == "deeplabv3":
        fixed["atrous_rates"] = (12, 24, 36)
    if name != "lraspp":
        options = options | ({"auxiliary_channels": side[1]} if side else {"auxiliary": False})
    options = {"backbone": backbone, **options, **fixed, "channels": width[1], **asked.options}
    sources = dict.fromkeys(fixed, "constant in torchvision") | asked.sources
    shape = NetworkShape(name, options, width[0], input_channels(sizes), f"{name} on {backbone}", sources)
    is_published = width[0] == len(VOC_NAMES)
    conclusions = conclude(
        checkpoint,
        shape,
        asked,
        normalization=imagenet("ImageNet's, as in torchvision's presets for training and prediction"),
        resize=_RESIZED if is_published else UNCHANGED,
        names=_names(),
        unknown=frozenset() if is_published else IMAGES,
    )
    return ReadNetwork(shape, renamed, conclusions)


def _name(checkpoint: Checkpoint) -> str:
    if "classifier.cbr.0.weight" in checkpoint.tensors:
        return "lraspp"
    return "deeplabv3" if "classifier.0.convs.0.0.weight" in checkpoint.tensors else "fcn"


def _names() -> Inferred[Sequence[str]]:
    return Inferred(VOC_NAMES, "assumed to be Pascal VOC's, as of torchvision's published weights")


TORCHVISION = CheckpointSource(
    TITLE,
    "FCN, DeepLabV3, LR-ASPP",
    "classifier.4.weight and backbone....",
    _recognises,
    _read,
    RECIPE,
)
