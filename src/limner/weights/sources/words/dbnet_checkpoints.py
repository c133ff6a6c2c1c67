"""DBNet and DBNet++ checkpoints of mmocr 0.x and 1.x, and of the authors' code (MhLiao/DB)."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from limner.core.errors import ConfigError, ModelError, describe
from limner.core.plan import ResizePlan
from limner.formats.source import TEXT_TASK
from limner.networks.dbnet import NUM_LEVELS
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import (
    Asked,
    CheckpointSource,
    Conclusions,
    Inferred,
    NetworkShape,
    Normalization,
    ReadNetwork,
)
from limner.weights.renaming import Naming, Renamed, Rule, rename
from limner.weights.sources.facts.backbone_shapes import input_channels, recognize_backbone
from limner.weights.sources.facts.dense_facts import stated_licence
from limner.weights.sources.facts.openmmlab_backbones import reverse_channels
from limner.weights.sources.facts.openmmlab_facts import (
    infer_preprocessing,
    infer_test_size,
    refuse_caffe_style,
    unknown_images,
)
from limner.weights.sources.facts.text_facts import text_labels

TASK = TEXT_TASK

RECIPE = {
    "loss": {"terms": [{"name": "differentiable_binarization"}]},
    "optimizer": {"learning_rate": 1e-4, "multipliers": {"backbone": 0.1}},
    "train": {"steps": 1, "batch_size": 16, "validate_every": 1, "save_every": 1},
}
"""Settings for continued training from the weights."""

AUTHORS_MEAN = (104.00698793, 116.66876762, 122.67891434)
"""Mean of red, green and blue. The authors' code calls the reverse RGB, and subtracts it from BGR."""

_PLACES = ((0, "0.conv"), (1, "0.norm"), (3, "1"), (4, "2"), (6, "4"))
"""Places of the layers of a head there and here."""


def _head(theirs: str, ours: str) -> tuple[Rule, ...]:
    return tuple((rf"^{theirs}\.{place}\.", f"{ours}.{name}.") for place, name in _PLACES)


MMOCR = Naming(
    title="mmocr",
    sign=r"^(det_head|bbox_head)\.binarize\.0\.weight$",
    unused=r"^data_preprocessor\.",
    rules=(
        (r"^bbox_head\.", "det_head."),
        (r"^neck\.lateral_convs\.(\d)\.conv\.", r"laterals.\1."),
        (r"^neck\.smooth_convs\.(\d)\.conv\.", r"smoothing.\1."),
        (r"^neck\.asf_conv\.conv\.", "fusion.conv."),
        (r"^neck\.asf_attn\.channel_wise\.0\.conv\.", "fusion.channel_attention.1."),
        (r"^neck\.asf_attn\.channel_wise\.1\.conv\.", "fusion.channel_attention.3."),
        (r"^neck\.asf_attn\.spatial_wise\.0\.conv\.", "fusion.place_attention.0."),
        (r"^neck\.asf_attn\.spatial_wise\.1\.conv\.", "fusion.place_attention.2."),
        (r"^neck\.asf_attn\.attention_wise\.conv\.", "fusion.scale_attention.0."),
        (r"\.conv2\.conv_offset\.", ".conv2.offset."),
        *_head(r"det_head\.binarize", "probability_head"),
        *_head(r"det_head\.threshold", "threshold_head"),
    ),
)

AUTHORS = Naming(
    title="the authors' code (MhLiao/DB)",
    sign=r"^decoder\.binarize\.0\.weight$",
    unused=r"^backbone\.(fc|smooth)\.",
    why_unused="their code does not use it either",
    rules=(
        *((rf"^decoder\.in{level + 2}\.", f"laterals.{level}.") for level in range(NUM_LEVELS)),
        *((rf"^decoder\.out{level + 2}\.(?:0\.)?", f"smoothing.{level}.") for level in range(NUM_LEVELS)),
        (r"^decoder\.concat_attention\.conv\.", "fusion.conv."),
        (r"^decoder\.concat_attention\.enhanced_attention\.channel_wise\.", "fusion.channel_attention."),
        (r"^decoder\.concat_attention\.enhanced_attention\.spatial_wise\.", "fusion.place_attention."),
        (r"^decoder\.concat_attention\.enhanced_attention\.attention_wise\.", "fusion.scale_attention."),
        (r"\.conv2_offset\.", ".conv2.offset."),
        *_head(r"decoder\.binarize", "probability_head"),
        *_head(r"decoder\.thresh", "threshold_head"),
    ),
)


def _read_mmocr(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    renamed = rename(checkpoint.tensors, MMOCR)
    for name in ("probability_head.0.conv.weight", "threshold_head.0.conv.weight", "fusion.conv.weight"):
        renamed.change(name, _levels_reversed, "the finest level comes last instead of first")
    scales = "fusion.scale_attention.0.weight"
    renamed.change(scales, lambda t: t.flip(0), "the finest level comes last instead of first")
    shape = _shape(renamed, checkpoint, asked)
    refuse_caffe_style(checkpoint)
    normalization, facts = infer_preprocessing(checkpoint, renamed)
    usual = (
        ResizePlan(shortest=736, longest=1333) if _is_18(shape) else ResizePlan(shortest=1024, longest=4068)
    )
    resize = infer_test_size(checkpoint, usual)
    conclusions = _conclude(checkpoint, asked, normalization, resize, facts)
    return ReadNetwork(shape, renamed, replace(conclusions, unknown=unknown_images(checkpoint)))


def _is_18(shape: NetworkShape) -> bool:
    return bool(shape.options["backbone"] == "resnet18")


def _read_authors(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    renamed = rename(checkpoint.tensors, AUTHORS)
    if {"backbone.layer2.0.conv2.offset.weight", "backbone.layer2.0.conv3.weight"} <= renamed.tensors.keys():
        raise ModelError(
            describe(
                "The authors' deformable ResNet-50 cannot be imported: their operator reads the offsets of "
                "convolutions with stride 2 at places for which they were not computed",
                where=checkpoint.path,
                found="backbone.layer2.0.conv2_offset.weight",
                expected="a deformable ResNet-18, or a ResNet that is not deformable",
                fix="Use mmocr's checkpoint of this network, which does not have this defect.",
            )
        )
    shape = _shape(renamed, checkpoint, asked)
    reverse_channels(renamed)
    normalization = Inferred(Normalization(AUTHORS_MEAN, (255.0,) * 3), "constant in the authors' code")
    resize = Inferred(ResizePlan(shortest=736, multiple=32), "default of the authors' demo.py")
    facts = {"channel order": "BGR; the first layer's channels are reversed, so RGB here (the authors' code)"}
    return ReadNetwork(shape, renamed, _conclude(checkpoint, asked, normalization, resize, facts))


def _levels_reversed(weights: torch.Tensor) -> torch.Tensor:
    """Reverse the order of the levels among the input channels."""
    return torch.cat(weights.chunk(NUM_LEVELS, dim=1)[::-1], dim=1)


def _shape(renamed: Renamed, checkpoint: Checkpoint, asked: Asked) -> NetworkShape:
    sizes = renamed.sizes
    is_plus = "fusion.conv.weight" in sizes
    options: dict[str, Any] = {
        "backbone": recognize_backbone(sizes, str(checkpoint.path)),
        "channels": sizes.get("laterals.0.weight", (256,))[0],
        "deformable": any(re.search(r"\.conv2\.offset\.weight$", name) for name in sizes),
    }
    if is_plus:
        options["attention_channels"] = sizes["fusion.conv.weight"][0]
    options |= asked.options
    classes = sizes.get("probability_head.4.bias", (1,))[0]
    deformable = "deformable " if options["deformable"] else ""
    summary = f"{'DBNet++' if is_plus else 'DBNet'} on a {deformable}{options['backbone']}"
    name = "dbnetplusplus" if is_plus else "dbnet"
    return NetworkShape(name, options, classes, input_channels(sizes), summary)


def _conclude(
    checkpoint: Checkpoint,
    asked: Asked,
    normalization: Inferred[Normalization],
    resize: Inferred[ResizePlan],
    facts: dict[str, str],
) -> Conclusions:
    if asked.task not in (None, TASK):
        raise ConfigError(f"The checkpoint finds words, so its task is {TASK}; found --task {asked.task}.")
    return Conclusions(
        Inferred(TASK, "it scores pixels of text"),
        text_labels(asked),
        normalization,
        resize,
        stated_licence(checkpoint, asked),
        facts=facts,
    )


def _source(
    naming: Naming, read: Callable[[Checkpoint, Asked], ReadNetwork], example: str
) -> CheckpointSource:
    def recognises(checkpoint: Checkpoint) -> bool:
        return any(re.search(naming.sign, name) for name in checkpoint.tensors)

    return CheckpointSource(naming.title, "DBNet, DBNet++", example, recognises, read, RECIPE)


DBNET_MMOCR = _source(MMOCR, _read_mmocr, "det_head.binarize.0.weight (mmocr)")
DBNET_AUTHORS = _source(AUTHORS, _read_authors, "decoder.binarize.0.weight (the authors')")
