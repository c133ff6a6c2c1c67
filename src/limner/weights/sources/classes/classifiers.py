"""Classifiers of images: of torchvision, mmpretrain and mmclassification, `transformers` and timm.

They become the network `classifier`; a training can also use only their encoder.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import torch

from limner.core.errors import ConfigError, ModelError, describe
from limner.core.plan import ResizePlan
from limner.networks.backbones.image_encoder import input_statistics, is_encoder
from limner.weights.checkpoint_files import PREPROCESSOR, Checkpoint
from limner.weights.checkpoint_source import (
    Asked,
    CheckpointSource,
    Conclusions,
    Inferred,
    NetworkShape,
    Normalization,
    ReadNetwork,
)
from limner.weights.fitting import COUNTER, shapes_of
from limner.weights.how_read import IMAGES, UnknownInput
from limner.weights.renaming import Naming, Renamed, rename
from limner.weights.sources.classes.classifier_names import FAMILIES, MMPRETRAIN, TIMM, TRANSFORMERS, Family
from limner.weights.sources.facts.backbone_shapes import recognize_backbone
from limner.weights.sources.facts.class_facts import image_class_labels
from limner.weights.sources.facts.dense_facts import imagenet, stated_licence
from limner.weights.sources.facts.image_facts import infer_normalization
from limner.weights.sources.facts.openmmlab_backbones import patches_by_position
from limner.weights.sources.facts.openmmlab_facts import (
    infer_preprocessing,
    refuse_caffe_style,
    section,
    test_steps,
    unknown_images,
)

Value = TypeVar("Value")

TASK = "classification"

CROP, EDGE = 224, 256
"""Side of the square that projects cut out of an image, and length of its shorter side before that."""

RECIPE: Mapping[str, Any] = {
    "optimizer": {"learning_rate": 1e-4, "multipliers": {"backbone": 0.1}},
    "train": {"steps": 1, "batch_size": 32, "validate_every": 1, "save_every": 1},
}
"""Settings for continued training from the weights."""

_FIRST = re.compile(r"^(backbone\.)?(model\.)?(conv1|conv1\.0|patch_embed\.proj|stem\.0|conv_stem)\.weight$")
"""Names of the weights of the first layer."""

_LAST = "classifier."
"""Beginning of the names of the last layer after renaming, see `classifier_names`."""


def _source(family: Family) -> CheckpointSource:
    def recognises(checkpoint: Checkpoint) -> bool:
        signs = family.signs
        if family.project == MMPRETRAIN and _is_headless(checkpoint):
            signs = tuple(name for name in signs if not name.startswith("head."))
        return all(name in checkpoint.tensors for name in signs)

    def read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
        return _read(family, checkpoint, asked)

    return CheckpointSource(
        family.project, family.architecture, " and ".join(family.signs[:2]), recognises, read, RECIPE
    )


def _is_headless(checkpoint: Checkpoint) -> bool:
    """Return whether a file of mmpretrain has an encoder only, as after training without labels."""
    return all(name.startswith("backbone.") for name in checkpoint.tensors)


def _read(family: Family, checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    if family.rules is None:
        shape, renamed = _by_order(family, checkpoint, asked)
    else:
        naming = Naming(
            family.project,
            "",
            family.rules,
            unused=family.unused,
            why_unused="limner computes it, or prediction does not need it",
        )
        renamed = rename(checkpoint.tensors, naming)
        _convert(family, renamed)
        shape, renamed = _by_name(family, renamed, checkpoint, asked)
    _keep_eps(family, str(shape.options["backbone"]), renamed)
    normalization, facts = _preprocessing(family, checkpoint, renamed, str(shape.options["backbone"]))
    if asked.task not in (None, TASK):
        raise ConfigError(f"The checkpoint scores images, so its task is {TASK}; found --task {asked.task}.")
    conclusions = Conclusions(
        Inferred(TASK, "it scores whole images"),
        image_class_labels(checkpoint, shape.num_classes, asked),
        normalization,
        _resize(family, checkpoint, shape),
        stated_licence(checkpoint, asked),
        facts=facts,
        unknown=_unknown_images(family, checkpoint),
    )
    return ReadNetwork(shape, renamed, conclusions)


def _convert(family: Family, renamed: Renamed) -> None:
    if "layer2.0.downsample.2.weight" in renamed.tensors:  # a shortcut that pools by averaging
        _move_first_shortcut(renamed)
    for name in list(renamed.tensors):
        if family.by_channel and re.search(r"\.downsample\.(reduction\.weight|norm\.(weight|bias))$", name):
            renamed.change(name, patches_by_position, "merged patches: by position instead of by channel")
        elif name.endswith(".gamma") and renamed.tensors[name].ndim == 3:
            renamed.change(name, torch.flatten, "a number for each channel, without the axes of pixels")


def _move_first_shortcut(renamed: Renamed) -> None:
    """Give the first shortcut, which pools nothing, its names in timm, where it has an identity first."""
    for place in (1, 0):
        start = f"layer1.0.downsample.{place}."
        for name in [name for name in renamed.tensors if name.startswith(start)]:
            ours = name.replace(start, f"layer1.0.downsample.{place + 1}.")
            if ours not in renamed.tensors:
                renamed.tensors[ours], renamed.theirs[ours] = (
                    renamed.tensors.pop(name),
                    renamed.theirs.pop(name),
                )


def _shape(backbone: str, classes: int, channels: int, family: Family) -> NetworkShape:
    summary = f"classifier on {backbone}"
    return NetworkShape("classifier", {"backbone": backbone}, classes, channels, summary)


def _by_name(
    family: Family, renamed: Renamed, checkpoint: Checkpoint, asked: Asked
) -> tuple[NetworkShape, Renamed]:
    """Return the member of the family whose tensors have these names and shapes, and complete the names."""
    sizes = renamed.sizes
    classes = sizes.get(f"{_LAST}weight", (1,))[0]
    channels = next((size[1] for name, size in sizes.items() if _FIRST.match(name)), 3)
    for backbone in _candidates(family, sizes, checkpoint, asked):
        shape = _shape(backbone, classes, channels, family)
        wanted = _learned(shapes_of(shape))
        if _is_headless(checkpoint):
            wanted = _without_head(wanted)
        inside = (
            "backbone.model." if any(name.startswith("backbone.model.") for name in wanted) else "backbone."
        )
        given = {_full_name(name, inside): size for name, size in _learned(sizes).items()}
        if given == wanted:
            return shape, _complete_names(renamed, inside)
    raise _unknown(family, checkpoint)


def _candidates(
    family: Family, sizes: Mapping[str, tuple[int, ...]], checkpoint: Checkpoint, asked: Asked
) -> Iterator[str]:
    """Yield the possible backbones, those that something names first."""
    if "backbone" in asked.options:
        yield str(asked.options["backbone"])
        return
    if "conv1.weight" in sizes or "conv1.0.weight" in sizes:
        try:
            whole = {f"backbone.{name}": size for name, size in sizes.items()}
            yield recognize_backbone(whole, str(checkpoint.path))
        except ModelError:
            pass  # a ResNeXt or wide ResNet, which timm has
    yield from _stated_names(family, checkpoint)
    yield from family.candidates


def _stated_names(family: Family, checkpoint: Checkpoint) -> Iterator[str]:
    """Yield the name of timm's that `config.json` or the name of a file of timm states."""
    if family.project == TIMM:
        for name in (str(checkpoint.config.get("architecture", "")), checkpoint.path.stem):
            if is_encoder(name):
                yield name


def _full_name(name: str, inside: str) -> str:
    return "head." + name.removeprefix(_LAST) if name.startswith(_LAST) else inside + name


def _complete_names(renamed: Renamed, inside: str) -> Renamed:
    """Return the tensors by the names of limner's network, whose encoder's names begin with `inside`."""

    def complete(table: Mapping[str, Value]) -> dict[str, Value]:
        return {_full_name(name, inside): value for name, value in table.items()}

    return Renamed(
        complete(renamed.tensors),
        complete(renamed.theirs),
        renamed.unused,
        complete(renamed.reshaped),
        complete(renamed.joined),
    )


def _by_order(family: Family, checkpoint: Checkpoint, asked: Asked) -> tuple[NetworkShape, Renamed]:
    """Return the member of the family whose tensors have these shapes, in their order."""
    given = {name: tensor for name, tensor in checkpoint.tensors.items() if not name.endswith(COUNTER)}
    *_, (_, last) = given.items()
    classes = 1 if _is_headless(checkpoint) else len(last)
    channels = next((t.shape[1] for t in given.values() if t.ndim == 4), 3)
    named = (str(asked.options["backbone"]),) if "backbone" in asked.options else family.candidates
    for backbone in named:
        shape = _shape(backbone, classes, int(channels), family)
        wanted = _learned(shapes_of(shape))
        if _is_headless(checkpoint):
            wanted = _without_head(wanted)
        if [_sides(size) for size in wanted.values()] == [_sides(t.shape) for t in given.values()]:
            renamed = Renamed(unused={})
            for (ours, size), (theirs, tensor) in zip(wanted.items(), given.items(), strict=True):
                renamed.tensors[ours], renamed.theirs[ours] = tensor, theirs
                if tuple(tensor.shape) != size:
                    renamed.change(
                        ours, partial(torch.reshape, shape=size), "a linear layer as a convolution"
                    )
            counters = checkpoint.tensors.keys() - given.keys()
            renamed.unused.update(dict.fromkeys(counters, "a counter of batches"))
            return shape, renamed
    raise _unknown(family, checkpoint)


def _sides(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape without the axes of a 1x1 convolution, which a linear layer does not have."""
    return tuple(shape[:2] if len(shape) == 4 and tuple(shape[2:]) == (1, 1) else shape)


def _learned(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {name: shape for name, shape in shapes.items() if not name.endswith(COUNTER)}


def _without_head(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {name: shape for name, shape in shapes.items() if not name.startswith("head.")}


def _unknown(family: Family, checkpoint: Checkpoint) -> ModelError:
    return ModelError(
        describe(
            f"The classifier is none of the {family.architecture}s that limner recognises",
            where=checkpoint.path,
            found=f"{len(checkpoint.tensors)} tensors of {family.project}",
            expected=", ".join(family.candidates) or "a file with timm's name, or one of limner's ResNets",
            fix="Name it as timm does: --set network.options.backbone=NAME.",
        )
    )


def _keep_eps(family: Family, backbone: str, renamed: Renamed) -> None:
    """Add the difference of the batch norms' eps to the variances, which gives the same outputs."""
    wider = family.wider_eps.get(backbone, family.wider_eps.get("", 0.0))
    if wider:
        for name in [name for name in renamed.tensors if name.endswith(".running_var")]:
            renamed.change(name, lambda t: t + wider, f"plus {wider:g}: the norms' eps is larger there")


def _preprocessing(
    family: Family, checkpoint: Checkpoint, renamed: Renamed, backbone: str
) -> tuple[Inferred[Normalization], dict[str, str]]:
    facts = (
        {}
        if family.rules is not None
        else {"tensors matched": "by order: the sequence of shapes is the same"}
    )
    if family.project == MMPRETRAIN:
        first = next(name for name in renamed.tensors if _FIRST.match(name))
        refuse_caffe_style(checkpoint)
        normalization, more = infer_preprocessing(checkpoint, renamed, firsts=(first,))
        return normalization, facts | more
    facts["channel order"] = f"RGB (constant in {family.project})"
    if checkpoint.preprocessor:
        return infer_normalization(checkpoint), facts
    if family.project == TIMM:
        mean, std = input_statistics(backbone)
        return Inferred(Normalization(mean, std), f"assumed: those of timm's {backbone}"), facts
    return imagenet(f"ImageNet's, as in the published weights of {family.project}"), facts


def _unknown_images(family: Family, checkpoint: Checkpoint) -> frozenset[UnknownInput]:
    if family.project == MMPRETRAIN:
        return unknown_images(checkpoint)
    return frozenset() if checkpoint.preprocessor else IMAGES


def _resize(family: Family, checkpoint: Checkpoint, shape: NetworkShape) -> Inferred[ResizePlan]:
    """Return the size of whole images; projects cut out the middle, which limner does not."""
    whole = "; limner predicts the whole image instead of its middle"
    side = re.search(r"_(\d{3})$", str(shape.options["backbone"]))
    if side and family.architecture in ("ViT", "Swin"):
        square = ResizePlan(size=(int(side[1]), int(side[1])))
        return Inferred(square, f"the size that its positions are learned for{whole}")
    if family.project == MMPRETRAIN:
        for step in test_steps(checkpoint.training):
            edge = step.get("scale") or step.get("size")
            edge = edge[0] if isinstance(edge, (list, tuple)) and edge else edge
            if step.get("type") in ("ResizeEdge", "Resize") and isinstance(edge, int) and edge > 0:
                return Inferred(ResizePlan(shortest=edge), f"test pipeline of the configuration{whole}")
    size = section(checkpoint.preprocessor, "size")
    if family.project == TRANSFORMERS and size.get("shortest_edge"):
        return Inferred(ResizePlan(shortest=int(size["shortest_edge"])), f"{PREPROCESSOR}{whole}")
    why = f"{EDGE}, then the middle {CROP} x {CROP}, is usual in {family.project}{whole}"
    return Inferred(ResizePlan(shortest=EDGE), why)


CLASSIFIERS: Mapping[str, CheckpointSource] = {
    f"{family.project.split()[0].casefold()}-{family.architecture.split(',')[0].casefold()}": _source(family)
    for family in FAMILIES
}
"""Sources of classifiers, one for each family of each project."""
