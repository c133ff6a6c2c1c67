"""Checkpoints of mmsegmentation 0.x and 1.x.

The training's configuration is read from the checkpoint's `meta` or from the only Python file beside it, as
text; without it, what tensors do not contain is assumed to be as in the library's published configurations.
"""

import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch

from limner.core.errors import ModelError, describe
from limner.core.plan import ResizePlan
from limner.networks.backbones.hrnet import HRNETS
from limner.networks.backbones.mobilenetv2 import MOBILENETV2
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import (
    Asked,
    CheckpointSource,
    Inferred,
    NetworkShape,
    PredictionWindow,
    ReadNetwork,
)
from limner.weights.renaming import Renamed, rename
from limner.weights.sources.facts.backbone_shapes import (
    Sizes,
    count_layers,
    input_channels,
    norm_options,
    recognize_backbone,
)
from limner.weights.sources.facts.dense_facts import RECIPE, conclude
from limner.weights.sources.facts.openmmlab_backbones import BACKBONES, FIRSTS, convert_backbone
from limner.weights.sources.facts.openmmlab_facts import (
    ASSUMED,
    CONFIGURATION,
    infer_preprocessing,
    infer_test_size,
    section,
    unknown_images,
)
from limner.weights.sources.pixels.mmseg_names import HEADS, TITLE, mmseg_naming
from limner.weights.sources.pixels.mmseg_variants import (
    is_uniformly_dilated,
    keep_eps,
    refuse_mmseg_variants,
)

DILATED = (
    *("PSPHead", "ASPPHead", "DepthwiseSeparableASPPHead", "FCNHead", "CCHead", "DAHead", "ANNHead"),
    "OCRHead",
)
"""Heads whose published configurations dilate the backbone to stride 8."""

WITHOUT_SIDE = ("SegformerHead", "FPNHead", "LRASPPHead", "OCRHead")
"""Heads of limner's networks that have no auxiliary head."""

_UNKNOWN_SIZE = Inferred(
    ResizePlan(),
    "no configuration is in the file or beside it; published ones resize images of ADE20K: "
    "--set inference.resize.shortest=512 --set inference.resize.longest=2048",
)


def _recognises(checkpoint: Checkpoint) -> bool:
    names = checkpoint.tensors
    return (
        any(name.startswith("decode_head.") for name in names)
        and any(name.startswith("backbone.") for name in names)
        and not any(name.startswith(("decode_head.linear_c.", "decode_head.linear_proj")) for name in names)
    )


def _read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    head = _first(HEADS, checkpoint, "decode head")
    backbone = _first(BACKBONES, checkpoint, "backbone")
    model = section(checkpoint.training, "model")
    refuse_mmseg_variants(model, checkpoint)
    renamed = rename_mmseg(checkpoint.tensors, head, backbone)
    _fit_side_heads(head, renamed)
    sizes = renamed.sizes
    options, sources = _options(head, sizes, model, checkpoint)
    keep_eps(model, options["backbone"], renamed)
    options |= asked.options
    sources |= asked.sources
    scores = sizes.get("head.conv.weight", (1, 1))
    summary = f"{head.removesuffix('Head')} on {options['backbone']}"
    shape = NetworkShape(HEADS[head][1], options, scores[0], input_channels(sizes), summary, sources)
    return read_mmseg(checkpoint, asked, shape, renamed)


def read_mmseg(
    checkpoint: Checkpoint,
    asked: Asked,
    shape: NetworkShape,
    renamed: Renamed,
    *,
    firsts: Sequence[str] = FIRSTS,
    window: Inferred[PredictionWindow] | None = None,
) -> ReadNetwork:
    """Return a network with what the configuration says of images and windows, or what is assumed.

    Args:
        checkpoint: The checkpoint.
        asked: What the caller has set.
        shape: Its network.
        renamed: Its tensors, of which the first layers are reversed if it was trained on BGR.
        firsts: Weights of the layers that read the image.
        window: The sliding window if the configuration has none.
    """
    normalization, facts = infer_preprocessing(checkpoint, renamed, firsts=firsts)
    facts["align corners"] = f"False ({CONFIGURATION if checkpoint.training else ASSUMED})"
    window = _prediction_window(section(checkpoint.training, "model")) or window
    conclusions = conclude(
        checkpoint,
        shape,
        asked,
        normalization=normalization,
        resize=infer_test_size(checkpoint, ResizePlan()) if checkpoint.training else _UNKNOWN_SIZE,
        facts=facts,
        window=window,
        unknown=unknown_images(checkpoint),
    )
    return ReadNetwork(shape, renamed, conclusions)


def _first(table: Mapping[str, tuple[Any, ...]], checkpoint: Checkpoint, what: str) -> str:
    found = next((name for name, (sign, *_) in table.items() if sign in checkpoint.tensors), None)
    if found is None:
        part = what.split()[-1] + "."
        names = sorted(name for name in checkpoint.tensors if part in name)
        raise ModelError(
            describe(
                f"limner does not have this {what} of {TITLE}{_cascade(checkpoint)}",
                where=checkpoint.path,
                found=", ".join(names[:3]) or "no tensors of it",
                expected=", ".join(table),
            )
        )
    return found


def _cascade(checkpoint: Checkpoint) -> str:
    """Return words for a network with several heads in a row, if it is one."""
    if not any(name.startswith("decode_head.1.") for name in checkpoint.tensors):
        return ""
    return ", a cascade of several heads"


def _options(
    head: str, sizes: Sizes, model: Mapping[str, Any], checkpoint: Checkpoint
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the network's options, and the sources of those that tensors do not contain."""
    backbone = recognize_backbone(sizes, str(checkpoint.path))
    options: dict[str, Any] = {"backbone": backbone}
    sources: dict[str, str] = {}
    if backbone in HRNETS:
        options |= {"output_stride": 32} if head in DILATED else {}
    elif head in DILATED or head == "EMAHead":
        options["output_stride"], sources["output_stride"] = _stride(model, backbone)
        if is_uniformly_dilated(model, backbone, checkpoint):
            options["dilation"], sources["dilation"] = "uniform", CONFIGURATION
    if head in ("ASPPHead", "DepthwiseSeparableASPPHead"):
        said = section(model, "decode_head").get("dilations")
        options["atrous_rates"] = tuple(said[1:]) if said else (12, 24, 36)
        sources["atrous_rates"] = CONFIGURATION if said else ASSUMED
    if head not in WITHOUT_SIDE:
        side = sizes.get("auxiliary_head.classifier.conv.weight")
        options |= {"auxiliary_channels": side[1]} if side else {"auxiliary": False}
    width = sizes.get("head.conv.weight", (1, 1))[1]
    return options | {"channels": width} | _OWN.get(head, lambda _: {})(sizes), sources


def _lraspp(sizes: Sizes) -> dict[str, Any]:
    fine = tuple(sizes.get(f"fusion.fine.{index}.weight", (1,))[0] for index in range(2))
    return {"layout": "mmsegmentation", "output_stride": 8, "fine_channels": fine}


def _fcn(sizes: Sizes) -> dict[str, Any]:
    joins = "context.fusion.conv.weight" in sizes
    start = "context.module" if joins else "context"
    first = sizes.get(f"{start}.0.conv.weight", (1, 1, 3))
    return {
        "num_convs": count_layers(sizes, re.escape(start) + r"\.(\d)\.conv\.weight"),
        "kernel_size": first[2],
        "joins_input": joins,
        "joins_maps": first[1] == 15 * _finest(sizes),
    }


def _ocr(sizes: Sizes) -> dict[str, Any]:
    coarse = sizes.get("coarse.conv.weight", (1, 1))
    return {
        "joins_maps": coarse[1] == 15 * _finest(sizes),
        "coarse_channels": coarse[0],
        "region_channels": sizes.get("attention.value.conv.weight", (1,))[0],
    }


def _finest(sizes: Sizes) -> int:
    """Return the width of the first branch of an HRNet, a fifteenth of that of all four; else 0."""
    return sizes.get("backbone.stage4.0.branches.0.0.conv1.weight", (0,))[0]


def _ema(sizes: Sizes) -> dict[str, Any]:
    bases = sizes.get("context.module.1.bases", (1, 1, 1))
    return {"bases": bases[-1], "attention_channels": bases[1]}


_OWN = {
    "FCNHead": _fcn,
    "DepthwiseSeparableASPPHead": lambda sizes: {
        "low_level_channels": sizes.get("low_level.conv.weight", (1,))[0]
    },
    "LRASPPHead": _lraspp,
    "OCRHead": _ocr,
    "UPerHead": norm_options,
    "SegformerHead": lambda _: {"decoder": "mmsegmentation"},
    "FPNHead": lambda sizes: {
        "pyramid_channels": sizes.get("laterals.0.weight", (1,))[0],
        "upsampling": "doubling",
    },
    "CCHead": lambda sizes: {"attention_channels": sizes.get("context.module.1.query.weight", (1,))[0]},
    "DAHead": lambda sizes: {"attention_channels": sizes.get("position.1.query.weight", (1,))[0]},
    "ANNHead": lambda sizes: {"attention_channels": sizes.get("fusion.query.conv.weight", (1,))[0]},
    "EMAHead": _ema,
}
"""Head -> the options that only it has, from the shapes of the tensors."""


def _stride(model: Mapping[str, Any], backbone: str) -> tuple[int, str]:
    strides = section(model, "backbone").get("strides")
    if strides:
        return (2 if backbone == MOBILENETV2 else 4) * prod(strides), CONFIGURATION
    return 8, ASSUMED


def _fit_side_heads(head: str, renamed: Renamed) -> None:
    """Leave out auxiliary heads that limner's network lacks, which only training uses."""
    sides = [name for name in renamed.tensors if name.startswith("auxiliary_head.")]
    is_only = all(name.startswith("auxiliary_head.0.") for name in sides)
    for name in sides if is_only else ():  # a list of one
        ours = name.replace("auxiliary_head.0.", "auxiliary_head.", 1)
        renamed.tensors[ours], renamed.theirs[ours] = renamed.tensors.pop(name), renamed.theirs.pop(name)
    layers = {name.split(".")[1] for name in renamed.tensors if name.startswith("auxiliary_head.")}
    convs = count_layers(renamed.sizes, r"auxiliary_head\.convs\.(\d+)\.")
    if head in WITHOUT_SIDE or layers != {"convs", "classifier"} or convs > 1:
        renamed.leave_out(
            "auxiliary_head.", "an auxiliary head that limner's network lacks; training used it"
        )


def rename_mmseg(tensors: Mapping[str, torch.Tensor], head: str, backbone: str) -> Renamed:
    """Return the tensors of a head of `HEADS` on one of `BACKBONES`, by limner's names and in its order."""
    renamed = rename(tensors, mmseg_naming(head, backbone))
    convert_backbone(renamed)
    if head in ("ASPPHead", "DepthwiseSeparableASPPHead"):
        projection = "context.projection" if head.startswith("Depth") else "context.0.projection"
        # They join the image's mean first, limner last, as the paper's figure does.
        renamed.change(
            f"{projection}.conv.weight",
            lambda t: t.roll(-t.shape[0], dims=1),
            "the image's mean is joined last instead of first",
        )
    if head == "FCNHead" and "context.fusion.conv.weight" not in renamed.tensors:
        for name in [name for name in renamed.tensors if name.startswith("context.module.")]:
            ours = name.replace("context.module.", "context.", 1)
            renamed.tensors[ours], renamed.theirs[ours] = renamed.tensors.pop(name), renamed.theirs.pop(name)
    if head == "ANNHead":
        # Their second attention lists its one projection twice.
        renamed.leave_out("attention.query.", "the same as the keys' projection, listed twice")
    return renamed


def _prediction_window(model: Mapping[str, Any]) -> Inferred[PredictionWindow] | None:
    """Return the sliding window of the configuration, or None for whole images."""
    test = section(model, "test_cfg")
    if test.get("mode") != "slide" or not test.get("crop_size"):
        return None
    height, width = _pair(test["crop_size"])
    steps = _pair(test.get("stride") or test["crop_size"])
    overlap = 1 - min(steps[0] / height, steps[1] / width)
    window = PredictionWindow((height, width), round(max(overlap, 0.0), 4))
    return Inferred(window, f"test_cfg of {CONFIGURATION}")


def _pair(value: Any) -> tuple[int, int]:  # noqa: ANN401 - a number or two
    first, second = value if isinstance(value, (list, tuple)) else (value, value)
    return int(first), int(second)


MMSEG = CheckpointSource(
    TITLE,
    ", ".join(HEADS),
    "decode_head.conv_seg.weight and backbone....",
    _recognises,
    _read,
    RECIPE,
)
