r"""Networks of mmsegmentation 0.x and 1.x on a plain Vision Transformer: SETR, UPerNet, linear Segmenter."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch

from limner.core.errors import ModelError, describe
from limner.networks.backbones.vit import PATCH, VITS
from limner.networks.setr import TAPS
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import Asked, CheckpointSource, NetworkShape, ReadNetwork
from limner.weights.renaming import Naming, Renamed, Rule, rename
from limner.weights.sources.facts.backbone_shapes import Sizes, count_layers, input_channels
from limner.weights.sources.facts.dense_facts import RECIPE
from limner.weights.sources.facts.openmmlab_backbones import VISION_TRANSFORMER
from limner.weights.sources.facts.openmmlab_facts import ASSUMED, CONFIGURATION, section
from limner.weights.sources.pixels.mmseg import read_mmseg
from limner.weights.sources.pixels.mmseg_names import TITLE, UNUSED, UPER_HEAD
from limner.weights.sources.pixels.mmseg_variants import refuse_mmseg_variants

_SIGN = "backbone.layers.0.attn.attn.in_proj_weight"

_BACKBONE: tuple[Rule, ...] = (
    *VISION_TRANSFORMER,
    (r"\.attn\.attn\.in_proj_", ".attn.qkv."),
    (r"\.attn\.attn\.out_proj\.", ".attn.proj."),
)

_NORM: Rule = (r"^((?!backbone).*)\.bn\.", r"\1.norm.")

_SETR: tuple[Rule, ...] = (
    (r"^neck\.norm\.", "levels.norms."),
    (r"^neck\.mla\.channel_proj\.", "levels.laterals."),
    (r"^neck\.mla\.feat_extract\.", "levels.convs."),
    (r"^decode_head\.", "head."),
    (r"^auxiliary_head\.", "auxiliary_heads."),
    (r"\.up_convs\.(\d)\.0\.", r".convs.\1."),
    (r"\.conv_seg\.", ".classifier.conv."),
    _NORM,
)
_SETR_MLA: tuple[Rule, ...] = (
    (r"^decode_head\.up_convs\.(\d)\.", r"head.branches.\1."),
    (r"^auxiliary_head\.(\d)\.conv_seg\.", r"auxiliary_heads.\1.conv."),
    *_SETR,
)
_CLASSIFIERS: tuple[Rule, ...] = (
    (r"^decode_head\.conv_seg\.", "head.conv."),
    (r"^auxiliary_head\.conv_seg\.", "auxiliary_head.classifier.conv."),
    _NORM,
)
_UPERNET: tuple[Rule, ...] = (
    (r"^neck\.lateral_convs\.(\d)\.conv\.", r"neck.laterals.\1."),
    (r"^neck\.convs\.(\d)\.conv\.", r"neck.convs.\1."),
    *UPER_HEAD,
    *_CLASSIFIERS,
)


@dataclass(frozen=True)
class _Head:
    """One of the heads.

    Attributes:
        title: Name of the network.
        network: limner's name.
        rules: Names of the tensors after those of the backbone.
        options: Options that the head implies.
    """

    title: str
    network: str
    rules: tuple[Rule, ...]
    options: Mapping[str, Any]


_HEADS: Mapping[str, _Head] = {
    "naive": _Head("SETR naive", "setr", _SETR, {"head": "naive"}),
    "pup": _Head("SETR PUP", "setr", _SETR, {"head": "pup"}),
    "mla": _Head("SETR MLA", "setr", _SETR_MLA, {"head": "mla"}),
    "upernet": _Head("UPerNet on a ViT", "vit", _UPERNET, {"head": "upernet"}),
    "linear": _Head("Segmenter, linear", "vit", _CLASSIFIERS, {"head": "linear", "neck": "none"}),
}


def _head(checkpoint: Checkpoint) -> str:
    names = checkpoint.tensors
    if "decode_head.fpn_bottleneck.conv.weight" in names:
        return "upernet"
    if "neck.mla.channel_proj.0.conv.weight" in names:
        return "mla"
    first = names.get("decode_head.up_convs.0.0.conv.weight")
    if first is not None:
        return "naive" if first.shape[-1] == 1 else "pup"
    heads = sorted(name for name in names if name.startswith("decode_head."))
    if heads == ["decode_head.conv_seg.bias", "decode_head.conv_seg.weight"]:
        return "linear"
    raise ModelError(
        describe(
            f"limner does not have this decode head of {TITLE} on a Vision Transformer",
            where=checkpoint.path,
            found=", ".join(heads[:3]),
            expected=", ".join(head.title for head in _HEADS.values()),
        )
    )


def _read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    kind = _head(checkpoint)
    head = _HEADS[kind]
    model = section(checkpoint.training, "model")
    refuse_mmseg_variants(model, checkpoint)
    renamed = rename_mmseg_vit(checkpoint.tensors, kind)
    sizes = renamed.sizes
    options = {**head.options, **_transformer(sizes, checkpoint, has_token=kind != "mla")}
    options |= (_setr if head.network == "setr" else _vit)(sizes, kind)
    taps, why = _taps(model, options, kind, checkpoint)
    sources = {"taps": why}
    if head.network == "vit":
        options |= {"interpolation": section(model, "backbone").get("interpolate_mode", "bicubic")}
        options |= {"taps": taps} if kind == "upernet" else {}
        sources["interpolation"] = CONFIGURATION if checkpoint.training else ASSUMED
    options |= asked.options
    classes = next((sizes[name][0] for name in _LAST if name in sizes), 1)
    shape = NetworkShape(
        head.network,
        options,
        classes,
        input_channels(sizes),
        f"{head.title}, {options['backbone']}",
        sources | asked.sources,
    )
    return read_mmseg(checkpoint, asked, shape, renamed)


_LAST = ("head.conv.weight", "head.classifier.conv.weight")
"""The classifier's weights."""


def rename_mmseg_vit(tensors: Mapping[str, torch.Tensor], head: str) -> Renamed:
    """Return the tensors of a Vision Transformer by limner's names.

    Args:
        tensors: Tensors by mmsegmentation's names.
        head: `naive`, `pup` or `mla` of SETR, `upernet` or `linear`.
    """
    rules = (*_BACKBONE, *_HEADS[head].rules)
    naming = Naming(TITLE, r"^decode_head\.", rules, unused=UNUSED, why_unused="prediction does not need it")
    renamed = rename(tensors, naming)
    if head == "mla":
        renamed.leave_out("backbone.cls_token", "SETR MLA has none; the file has one that is never used")
        renamed.change(
            "backbone.pos_embed", lambda t: t[:, 1:], "without the position of the unused class token"
        )
    return renamed


def _transformer(sizes: Sizes, checkpoint: Checkpoint, *, has_token: bool) -> dict[str, Any]:
    """Return the options of the backbone."""
    _, rows, width = sizes.get("backbone.pos_embed", (1, 0, 0))
    patches = rows - has_token
    depth = count_layers(sizes, r"backbone\.blocks\.(\d+)\.")
    kernel = sizes.get("backbone.patch_embed.proj.weight", (0,))[-1]
    named = next((name for name, vit in VITS.items() if vit.width == width), None)
    heads = section(checkpoint.training, "model", "backbone").get("num_heads")
    is_known = named is not None and (heads is None or heads == VITS[named].num_heads)
    if named is None or not is_known or kernel != PATCH or isqrt(patches) ** 2 != patches:
        raise ModelError(
            describe(
                "The checkpoint's Vision Transformer is not supported",
                where=checkpoint.path,
                found=f"{depth} blocks of {width} channels and {heads or 'unknown'} heads, patches of "
                f"{kernel} pixels, positions of {patches} patches",
                expected=f"patches of {PATCH} pixels, positions of a square image, and as many channels and "
                f"heads as one of {', '.join(VITS)}",
            )
        )
    own = VITS[named].num_blocks
    return {
        "backbone": named,
        "image_size": PATCH * isqrt(patches),
        "patch_bias": "backbone.patch_embed.proj.bias" in sizes,
        **({} if depth == own else {"num_blocks": depth}),
    }


def _setr(sizes: Sizes, kind: str) -> dict[str, Any]:
    side = "auxiliary_heads.0.conv.weight" if kind == "mla" else "auxiliary_heads.0.classifier.conv.weight"
    first = "levels.laterals.0.conv.weight" if kind == "mla" else "head.convs.0.conv.weight"
    convs = count_layers(sizes, r"auxiliary_heads\.0\.convs\.(\d)\.")
    return {
        "channels": sizes.get(first, (0,))[0],
        "auxiliary": side in sizes,
        **({"auxiliary_convs": convs} if kind == "pup" and convs else {}),
    }


def _vit(sizes: Sizes, kind: str) -> dict[str, Any]:
    side = sizes.get("auxiliary_head.classifier.conv.weight")
    neck = "multilevel" if "neck.convs.0.weight" in sizes else "none"
    return {
        "final_norm": "backbone.norm.weight" in sizes,
        **({"neck": neck, "channels": sizes.get("head.conv.weight", (1, 1))[1]} if kind == "upernet" else {}),
        **({"auxiliary_channels": side[1]} if side else {"auxiliary": False}),
    }


def _taps(
    model: Mapping[str, Any], options: Mapping[str, Any], kind: str, checkpoint: Checkpoint
) -> tuple[tuple[int, ...], str]:
    """Return the blocks whose tokens are used, counted from 0, and the source."""
    depth = options.get("num_blocks", VITS[options["backbone"]].num_blocks)
    quarters = tuple(depth * (quarter + 1) // 4 - 1 for quarter in range(4))
    ours = TAPS[kind] if kind in TAPS and depth == 24 else quarters
    said = section(model, "backbone").get("out_indices")
    if said is None:
        return ours, ASSUMED
    theirs = tuple(int(tap) % depth for tap in (said if isinstance(said, (list, tuple)) else [said]))
    if (kind in TAPS and theirs != ours) or (kind == "linear" and theirs[-1] != depth - 1):
        raise ModelError(
            describe(
                f"The checkpoint's {_HEADS[kind].title} uses other blocks than limner's",
                where=checkpoint.path,
                found=f"out_indices {said} ({CONFIGURATION})",
                expected=f"{depth - 1}" if kind == "linear" else f"{ours}",
            )
        )
    return theirs, CONFIGURATION


MMSEG_VITS = CheckpointSource(
    TITLE,
    ", ".join(head.title for head in _HEADS.values()),
    f"{_SIGN} and decode_head.conv_seg.weight",
    lambda checkpoint: (
        _SIGN in checkpoint.tensors and any(re.match(r"decode_head\.", name) for name in checkpoint.tensors)
    ),
    _read,
    RECIPE,
)
