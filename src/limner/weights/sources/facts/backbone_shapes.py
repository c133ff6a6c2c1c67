"""Recognising a backbone of limner's by the names and shapes of its tensors, below ``backbone.``."""

import re
from collections.abc import Iterable, Mapping
from math import isqrt
from typing import Any

from limner.core.errors import ModelError, describe
from limner.networks.backbones.hrnet import HRNETS
from limner.networks.backbones.mit import MIX_TRANSFORMERS
from limner.networks.backbones.mobilenetv2 import MOBILENETV2, STAGES
from limner.networks.backbones.mobilenetv2 import STEM as STEM_V2
from limner.networks.backbones.mobilenetv3 import LARGE, SMALL, STEM
from limner.networks.backbones.resnet import ALL_RESNETS, RESNETS
from limner.networks.backbones.swin import SWINS

Sizes = Mapping[str, tuple[int, ...]]
"""Name -> shape of each tensor, by limner's names."""

_DEEP = (3, 3, 27, 3)
CONVNEXTS = {
    "convnext_tiny": (96, (3, 3, 9, 3)),
    "convnext_small": (96, _DEEP),
    "convnext_base": (128, _DEEP),
    "convnext_large": (192, _DEEP),
    "convnext_xlarge": (256, _DEEP),
}
"""timm's name -> channels of the first stage, and blocks of each."""

_SWIN = re.compile(r"^backbone\.layers\.(\d)\.blocks\.(\d+)\.")
_RESNET = re.compile(r"^backbone\.layer([1-4])\.(\d+)\.")
_HRNET = re.compile(r"^backbone\.stage([2-4])\.(\d+)\.")
_CONVNEXT = re.compile(r"^backbone\.model\.stages_(\d)\.blocks\.(\d+)\.")
_MIT = re.compile(r"^backbone\.block([1-4])\.(\d+)\.")


def recognize_backbone(sizes: Sizes, where: str) -> str:
    """Return the name of the backbone, as `build_backbone` takes it.

    Args:
        sizes: Tensors of the network.
        where: The checkpoint, for the error message.

    Raises:
        ModelError: It is none of limner's ResNets, Swins, Mix Transformers, HRNets and MobileNets, and no
            ConvNeXt.
    """
    if any(map(_SWIN.match, sizes)):
        return _swin(sizes, where)
    if any(map(_MIT.match, sizes)):
        return _mit(sizes, where)
    if any(map(_HRNET.match, sizes)):
        return _hrnet(sizes, where)
    if any(map(_CONVNEXT.match, sizes)):
        return _convnext(sizes, where)
    if any(name.startswith("backbone.features.") for name in sizes):
        return _mobile(sizes, where)
    return _resnet(sizes, where)


def norm_options(sizes: Sizes) -> dict[str, Any]:
    """Return UPerNet's options for norms of the backbone's maps; those of ConvNeXt have another eps."""
    eps = {"feature_norm_eps": 1e-6} if any(map(_CONVNEXT.match, sizes)) else {}
    return {"norm_features": "norms.0.weight" in sizes, **eps}


def input_channels(sizes: Sizes) -> int:
    """Return the number of image channels, 3 if the first convolution is missing."""
    firsts = (
        *("conv1.weight", "conv1.0.weight", "patch_embed.proj.weight", "patch_embed1.proj.weight"),
        *("features.0.0.weight", "model.stem_0.weight"),
    )
    found = (sizes.get(f"backbone.{name}") for name in firsts)
    return next((shape[1] for shape in found if shape), 3)


def count_layers(sizes: Sizes, pattern: str) -> int:
    """Return how many different numbers the pattern's group has among the names."""
    return len({match[1] for name in sizes if (match := re.match(pattern, name))})


def count_blocks(sizes: Iterable[str], pattern: re.Pattern[str]) -> tuple[int, ...]:
    """Return the number of blocks of each stage; the pattern's groups are the stage and the block."""
    found = [match for name in sizes if (match := pattern.match(name))]
    stages = sorted({match[1] for match in found})
    return tuple(1 + max(int(match[2]) for match in found if match[1] == stage) for stage in stages)


def _swin(sizes: Sizes, where: str) -> str:
    blocks = count_blocks(sizes, _SWIN)
    tables = [
        sizes.get(f"backbone.layers.{stage}.blocks.0.attn.relative_position_bias_table", (0, 0))
        for stage in range(len(blocks))
    ]
    width = sizes.get("backbone.patch_embed.proj.weight", (0,))[0]
    window = (isqrt(tables[0][0]) + 1) // 2
    heads = tuple(table[1] for table in tables)
    for name, swin in SWINS.items():
        if (swin.width, swin.blocks, swin.heads, swin.window) == (width, blocks, heads, window):
            return name
    found = f"a Swin of width {width}, blocks {blocks}, heads {heads}, window {window}"
    raise _unknown(found, SWINS, where)


def _mit(sizes: Sizes, where: str) -> str:
    blocks = count_blocks(sizes, _MIT)
    width = sizes.get("backbone.patch_embed1.proj.weight", (0,))[0]
    for name, shape in MIX_TRANSFORMERS.items():
        if (shape.blocks, shape.widths[0]) == (blocks, width):
            return name
    raise _unknown(f"a Mix Transformer of width {width}, blocks {blocks}", MIX_TRANSFORMERS, where)


def _convnext(sizes: Sizes, where: str) -> str:
    blocks = count_blocks(sizes, _CONVNEXT)
    width = sizes.get("backbone.model.stem_0.weight", (0,))[0]
    for name, shape in CONVNEXTS.items():
        if shape == (width, blocks):
            return name
    raise _unknown(f"a ConvNeXt of width {width}, blocks {blocks}", CONVNEXTS, where)


def _hrnet(sizes: Sizes, where: str) -> str:
    exchanges = count_blocks(sizes, _HRNET)
    blocks = count_layers(sizes, r"backbone\.layer1\.(\d+)\.")
    width = sizes.get("backbone.stage2.0.branches.0.0.conv1.weight", (0,))[0]
    for name, shape in HRNETS.items():
        if (shape.width, shape.exchanges, shape.blocks) == (width, exchanges, blocks):
            return name
    found = f"an HRNet of width {width} with {blocks} blocks before each of {exchanges} exchanges"
    raise _unknown(found, HRNETS, where)


def _mobile(sizes: Sizes, where: str) -> str:
    stem = sizes.get("backbone.features.0.0.weight", (0,))[0]
    is_second = "backbone.features.1.conv.0.0.weight" in sizes
    layers = count_layers(sizes, r"backbone\.features\.(\d+)\.")
    known = {
        (True, STEM_V2, sum(stage.blocks for stage in STAGES) + 1): MOBILENETV2,
        (False, STEM, len(LARGE) + 2): "tf_mobilenet_v3_large",
        (False, STEM, len(SMALL) + 2): "tf_mobilenet_v3_small",
    }
    found = known.get((is_second, stem, layers))
    if found is None:
        kind = f"a MobileNetV{2 if is_second else 3} of {layers} layers, the first with {stem} channels"
        raise _unknown(kind, known.values(), where)
    return found


def _resnet(sizes: Sizes, where: str) -> str:
    blocks = count_blocks(sizes, _RESNET)
    is_bottleneck = "backbone.layer1.0.conv3.weight" in sizes
    has_average = any(re.match(r"backbone\.layer2\.0\.downsample\.2\.", name) for name in sizes)
    stem = sizes.get("backbone.conv1.weight", ())[:1]
    if not stem:
        stem = tuple(sizes.get(f"backbone.conv1.{index}.weight", (0,))[0] for index in (0, 3, 6))
    is_plain = sizes.get("backbone.layer1.0.conv2.weight", (64, 64))[:2] == (64, 64)
    projects = not is_bottleneck and "backbone.layer1.0.downsample.1.weight" in sizes
    for name, resnet in ALL_RESNETS.items():
        shape = (resnet.blocks, resnet.bottleneck, resnet.stem, resnet.average_shortcut)
        is_same = shape == (blocks, is_bottleneck, stem, has_average) and resnet.projects_first == projects
        if is_plain and is_same:
            return name
    kind = "ResNet" if is_plain else "ResNeXt or wide ResNet"
    found = f"a {kind} of blocks {blocks} with a stem of {stem[0]} channels" if blocks else "another one"
    raise _unknown(found, (name for name in RESNETS if name[-1].isdigit()), where)


def _unknown(found: str, known: Iterable[str], where: str) -> ModelError:
    return ModelError(
        describe(
            "The checkpoint's backbone is not supported",
            where=where,
            found=found,
            expected=", ".join(known),
        )
    )
