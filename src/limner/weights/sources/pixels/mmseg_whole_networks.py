r"""Networks of mmsegmentation 0.x and 1.x that it calls backbones: U-Net, BiSeNetV1 and BiSeNetV2.

Only convolutions and a classifier follow them, in an `FCNHead`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from limner.core.errors import ModelError, describe
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import Asked, CheckpointSource, NetworkShape, ReadNetwork
from limner.weights.renaming import Naming, Rule, rename
from limner.weights.sources.facts.backbone_shapes import Sizes, count_layers, recognize_backbone
from limner.weights.sources.facts.dense_facts import RECIPE
from limner.weights.sources.facts.openmmlab_facts import section
from limner.weights.sources.pixels.mmseg import read_mmseg
from limner.weights.sources.pixels.mmseg_names import TITLE, UNUSED
from limner.weights.sources.pixels.mmseg_variants import refuse_mmseg_variants

_HEADS: tuple[Rule, ...] = (
    (r"^decode_head\.", "head."),
    (r"\.conv_seg\.", ".classifier.conv."),
    (r"^((?!backbone\.).*)\.bn\.", r"\1.norm."),
)

_BISENETV1: tuple[Rule, ...] = (
    (r"^backbone\.context_path\.backbone\.", "backbone."),
    (r"^backbone\.context_path\.arm(\d+)\.conv_layer\.", r"refine\1.conv."),
    (r"^backbone\.context_path\.arm(\d+)\.atten_conv_layer\.1\.", r"refine\1.gate."),
    (r"^backbone\.context_path\.conv_head(\d+)\.", r"smooth\1."),
    (r"^backbone\.context_path\.gap_conv\.1\.", "image_mean."),
    *((rf"^backbone\.spatial_path\.layer{i + 1}\.", f"spatial.{i}.") for i in range(4)),
    (r"^backbone\.ffm\.conv1\.", "join."),
    (r"^backbone\.ffm\.conv_atten\.0\.", "gate."),
    (r"^auxiliary_head\.", "auxiliary_heads."),
)

_BISENETV2: tuple[Rule, ...] = (
    (r"^backbone\.detail\.detail_branch\.0\.", "detail."),
    *(
        (rf"^backbone\.detail\.detail_branch\.{stage}\.{i}\.", f"detail.{3 * stage - 1 + i}.")
        for stage in (1, 2)
        for i in range(3)
    ),
    (r"^backbone\.semantic\.stage1\.conv_first\.", "stem.first."),
    (r"^backbone\.semantic\.stage1\.fuse_last\.", "stem.fuse."),
    (r"^backbone\.semantic\.stage1\.", "stem."),
    (r"^backbone\.semantic\.stage4_CEBlock\.gap\.1\.", "context.norm."),
    (r"^backbone\.semantic\.stage4_CEBlock\.conv_gap\.", "context.embed."),
    (r"^backbone\.semantic\.stage4_CEBlock\.conv_last\.", "context.last."),
    *((rf"^backbone\.semantic\.stage{i + 2}\.", f"stages.{i}.") for i in range(3)),
    (r"^(stages\.\d\.\d)\.conv1\.", r"\1.gather."),
    (r"^(stages\.\d\.\d)\.dwconv\.", r"\1.expand."),
    (r"^(stages\.\d\.\d)\.conv2\.0\.", r"\1.project."),
    (r"\.shortcut\.0\.depthwise_conv\.", ".shortcut.0."),
    (r"\.shortcut\.0\.pointwise_conv\.", ".shortcut.1."),
    (r"^backbone\.bga\.detail_dwconv\.0\.", "aggregation.detail_fine."),
    (r"^backbone\.bga\.detail_down\.", "aggregation.detail_coarse."),
    (r"^backbone\.bga\.semantic_conv\.0\.", "aggregation.semantic_fine."),
    (r"^backbone\.bga\.semantic_dwconv\.0\.", "aggregation.semantic_coarse."),
    (r"^backbone\.bga\.conv\.", "aggregation.fuse."),
    (r"_(fine|coarse)\.depthwise_conv\.", r"_\1.0."),
    (r"_(fine|coarse)\.pointwise_conv\.conv\.", r"_\1.1."),
    (r"^auxiliary_head\.", "boosters."),
)


def _unet_rules(names: Iterable[str]) -> tuple[Rule, ...]:
    """Return the names of a U-Net, whose decoder counts from the finest map there, from the coarsest here."""
    depth = count_layers(dict.fromkeys(names, ()), r"backbone\.decoder\.(\d+)\.")
    return (
        (r"^backbone\.encoder\.(\d+)\.[01]\.convs\.", r"encoder.\1."),
        *((rf"^backbone\.decoder\.{i}\.", f"decoder.{depth - 1 - i}.") for i in range(depth)),
        (r"\.conv_block\.convs\.", ".convs."),
        (r"\.upsample\.interp_upsample\.1\.", ".up.1."),
    )


_OTHER_UNET = r"^backbone\.encoder\.[1-9]\.0\.|\.deconv_upsamping\.|\.upsample\.conv\.|\.interp_upsample\.0\."


def _refuse_other_unet(checkpoint: Checkpoint) -> None:
    other = next((name for name in sorted(checkpoint.tensors) if re.search(_OTHER_UNET, name)), None)
    if other:
        raise ModelError(
            describe(
                f"The checkpoint is a variant of {TITLE}'s U-Net that limner does not have",
                where=checkpoint.path,
                found=f"{other}: strided convolutions, levels of one size or transposed convolutions",
                expected="max pooling between all levels, and InterpConv for upsampling",
            )
        )


def _unet(sizes: Sizes, checkpoint: Checkpoint) -> dict[str, Any]:
    depth = count_layers(sizes, r"encoder\.(\d+)\.")
    return {
        "widths": tuple(sizes.get(f"encoder.{level}.0.conv.weight", (0,))[0] for level in range(depth)),
        "upsampling": "bilinear",
        "head_convs": count_layers(sizes, r"head\.convs\.(\d+)\."),
        "auxiliary": "auxiliary_head.classifier.conv.weight" in sizes,
    }


def _bisenetv1(sizes: Sizes, checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "backbone": recognize_backbone(sizes, str(checkpoint.path)),
        "channels": sizes.get("refine16.conv.conv.weight", (0,))[0],
        "auxiliary": "auxiliary_heads.0.classifier.conv.weight" in sizes,
    }


def _bisenetv2(sizes: Sizes, checkpoint: Checkpoint) -> dict[str, Any]:
    def width(name: str) -> int:
        return sizes.get(f"{name}.conv.weight", (0,))[0]

    sides = [sizes.get(f"boosters.{i}.classifier.conv.weight", (0, 0))[1] for i in range(4)]
    options = {
        "layout": "mmsegmentation",
        "detail_widths": (width("detail.0"), width("detail.2")),
        "semantic_widths": (width("stem.first"), *(width(f"stages.{i}.0.project") for i in range(3))),
        "blocks": tuple(count_layers(sizes, rf"stages\.{i}\.(\d+)\.") for i in range(3)),
        "head_channels": sizes.get("head.classifier.conv.weight", (0, 0))[1],
        "auxiliary": all(sides),
    }
    return options | ({"booster_channels": tuple(sides)} if all(sides) else {})


@dataclass(frozen=True)
class _Network:
    """One of the networks.

    Attributes:
        title: Its name there.
        sign: A tensor that only it has.
        rules: Names of the tensors, from those of a checkpoint.
        firsts: Weights of the layers that read the image.
        options: Options that the sizes tell.
    """

    title: str
    sign: str
    rules: Callable[[Iterable[str]], tuple[Rule, ...]]
    firsts: tuple[str, ...]
    options: Callable[[Sizes, Checkpoint], dict[str, Any]]


NETWORKS: Mapping[str, _Network] = {
    "unet": _Network(
        "U-Net",
        "backbone.encoder.0.0.convs.0.conv.weight",
        _unet_rules,
        ("encoder.0.0.conv.weight",),
        _unet,
    ),
    "bisenetv1": _Network(
        "BiSeNetV1",
        "backbone.context_path.arm16.conv_layer.conv.weight",
        lambda _: _BISENETV1,
        ("backbone.conv1.weight", "spatial.0.conv.weight"),
        _bisenetv1,
    ),
    "bisenetv2": _Network(
        "BiSeNetV2",
        "backbone.detail.detail_branch.0.0.conv.weight",
        lambda _: _BISENETV2,
        ("detail.0.conv.weight", "stem.first.conv.weight"),
        _bisenetv2,
    ),
}
"""limner's name -> how to read it."""


def naming_of(name: str, tensors: Iterable[str]) -> Naming:
    """Return the names of a network of `NETWORKS`, from those of the tensors of a checkpoint."""
    rules = (*NETWORKS[name].rules(tensors), *_HEADS)
    return Naming(TITLE, r"^decode_head\.", rules, unused=UNUSED, why_unused="prediction does not need it")


def _name(checkpoint: Checkpoint) -> str | None:
    return next((name for name, one in NETWORKS.items() if one.sign in checkpoint.tensors), None)


def _read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    name = _name(checkpoint)
    assert name is not None, checkpoint.path
    network = NETWORKS[name]
    other = [key for key in checkpoint.tensors if re.match(r"decode_head\.(?!convs\.\d|conv_seg\.)", key)]
    if other:
        raise ModelError(
            describe(
                f"limner does not have this decode head of {TITLE} on a {network.title}",
                where=checkpoint.path,
                found=", ".join(sorted(other)[:3]),
                expected="FCNHead with concat_input=False",
            )
        )
    refuse_mmseg_variants(section(checkpoint.training, "model"), checkpoint)
    if name == "unet":
        _refuse_other_unet(checkpoint)
    renamed = rename(checkpoint.tensors, naming_of(name, checkpoint.tensors))
    sizes = renamed.sizes
    shape = NetworkShape(
        name,
        network.options(sizes, checkpoint) | asked.options,
        sizes.get("head.classifier.conv.weight", (1,))[0],
        sizes.get(network.firsts[0], (1, 3))[1],
        f"{network.title} of {TITLE}",
        asked.sources,
    )
    return read_mmseg(checkpoint, asked, shape, renamed, firsts=network.firsts)


MMSEG_WHOLE_NETWORKS = CheckpointSource(
    TITLE,
    ", ".join(network.title for network in NETWORKS.values()),
    "decode_head.conv_seg.weight and " + ", ".join(network.sign for network in NETWORKS.values()),
    lambda checkpoint: _name(checkpoint) is not None and "decode_head.conv_seg.weight" in checkpoint.tensors,
    _read,
    RECIPE,
)
