"""Mask2Former and MaskFormer of mmdetection 2 and 3, also inside mmsegmentation 1."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from limner.core.errors import ModelError, describe
from limner.core.labels import LabelTable
from limner.core.plan import ResizePlan
from limner.tasks import find_task
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import (
    Asked,
    CheckpointSource,
    Conclusions,
    Inferred,
    NetworkShape,
    ReadNetwork,
)
from limner.weights.renaming import Renamed, rename
from limner.weights.sources.facts.backbone_shapes import input_channels
from limner.weights.sources.facts.dense_facts import stated_licence
from limner.weights.sources.facts.known_data import SMALLEST
from limner.weights.sources.facts.label_facts import framework_names, infer_labels, infer_task
from limner.weights.sources.facts.openmmlab_backbones import BACKBONES, convert_backbone, leave_out_counters
from limner.weights.sources.facts.openmmlab_facts import (
    CONFIGURATION,
    infer_preprocessing,
    infer_test_size,
    refuse_caffe_style,
    section,
    unknown_images,
)
from limner.weights.sources.queries.mask2former_checkpoints import RECIPE
from limner.weights.sources.queries.mask2former_shape import read_shape
from limner.weights.sources.queries.maskformer_checkpoints import maskformer_options
from limner.weights.sources.queries.mmdet_names import TITLE, segments_naming

USUAL_SIZES = {
    "panoptic_head": ResizePlan(shortest=800, longest=1333, multiple=SMALLEST),
    "decode_head": ResizePlan(multiple=SMALLEST),
}
"""Name of the head, in mmdetection and in mmsegmentation -> usual size of images in prediction."""

USUAL_HEADS = 8

_QUERIES = "query_embed.weight"


def _head(checkpoint: Checkpoint) -> str | None:
    return next((head for head in USUAL_SIZES if f"{head}.{_QUERIES}" in checkpoint.tensors), None)


def _recognises(checkpoint: Checkpoint) -> bool:
    return _head(checkpoint) is not None


def _read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    names, head = checkpoint.tensors, _head(checkpoint)
    assert head is not None, checkpoint.path
    if any(name.startswith(f"{head}.decoder_input_projs.") for name in names):
        raise ModelError(
            describe(
                "The checkpoint is an unsupported variant of Mask2Former: its two decoders differ in width",
                where=checkpoint.path,
                found=f"{head}.decoder_input_projs",
                expected="the same number of channels in both decoders",
            )
        )
    kind = next((key for key, (sign, _) in BACKBONES.items() if sign in names), None)
    if kind is None:
        found = sorted(name for name in names if name.startswith("backbone."))[:3]
        raise ModelError(
            describe(
                f"limner does not have this backbone of {TITLE}",
                where=checkpoint.path,
                found=", ".join(found) or "no tensors of it",
                expected=", ".join(BACKBONES),
            )
        )
    is_mask2former = f"{head}.query_feat.weight" in names
    renamed = rename(names, segments_naming(kind, is_mask2former=is_mask2former))
    convert_backbone(renamed)
    leave_out_counters(renamed)
    said = section(checkpoint.training, "model", head)
    heads = _stated_heads(section(said, "transformer_decoder"))
    shape = _shape(renamed, checkpoint, asked, heads=heads, is_mask2former=is_mask2former)
    refuse_caffe_style(checkpoint)
    normalization, facts = infer_preprocessing(checkpoint, renamed)
    task = _task(checkpoint, said, shape.num_classes, asked.task, is_semantic=head == "decode_head")
    conclusions = Conclusions(
        task,
        _labels(checkpoint, shape.num_classes, task.value, asked.classes),
        normalization,
        infer_test_size(checkpoint, USUAL_SIZES[head]),
        stated_licence(checkpoint, asked),
        facts=facts,
        unknown=unknown_images(checkpoint),
    )
    return ReadNetwork(shape, renamed, conclusions)


def _shape(
    renamed: Renamed, checkpoint: Checkpoint, asked: Asked, *, heads: int, is_mask2former: bool
) -> NetworkShape:
    if is_mask2former:
        found = read_shape(renamed.tensors, heads=heads, where=str(checkpoint.path))
        return replace(found, options=found.options | asked.options)
    sizes = renamed.sizes
    options = maskformer_options(sizes, heads, str(checkpoint.path))
    if "backbone.bn1.weight" in sizes:
        options["backbone_norm"] = "frozen"
    options |= asked.options
    classes = sizes["head.class_embed.bias"][0] - 1
    summary = f"maskformer, {options['backbone']}, {options.get('num_queries', 100)} queries"
    return NetworkShape("maskformer", options, classes, input_channels(sizes), summary)


def _stated_heads(decoder: Mapping[str, Any]) -> int:
    """Return the number of attention heads in the configuration of version 3 or 2, or the usual one."""
    newer = section(decoder, "layer_cfg", "self_attn_cfg").get("num_heads")
    older = section(decoder, "transformerlayers").get("attn_cfgs")
    if isinstance(older, (list, tuple)) and older:
        older = older[0]
    return int(newer or (older.get("num_heads") if isinstance(older, Mapping) else 0) or USUAL_HEADS)


def _task(
    checkpoint: Checkpoint,
    head: Mapping[str, Any],
    num_classes: int,
    wanted: str | None,
    *,
    is_semantic: bool,
) -> Inferred[str]:
    if wanted is None and is_semantic:
        return Inferred("semantic", "mmsegmentation trains these networks for label maps only")
    stuff = head.get("num_stuff_classes")
    if wanted is not None or not isinstance(stuff, int):
        return infer_task(checkpoint, num_classes, wanted)
    why = f"{stuff} classes are stuff, of {CONFIGURATION}"
    return Inferred("panoptic" if stuff else "instance", why)


def _labels(
    checkpoint: Checkpoint, num_classes: int, task: str, wanted: LabelTable | None
) -> Inferred[LabelTable]:
    found = infer_labels(checkpoint, num_classes, task, wanted)
    things = None if wanted is not None or framework_names(checkpoint) is None else _things(checkpoint)
    if things is None or not find_task(task).has_stuff:
        return found
    classes = tuple(replace(one, is_thing=one.name in things) for one in found.value.classes)
    return Inferred(replace(found.value, classes=classes), found.why.partition("; all are assumed")[0])


def _things(checkpoint: Checkpoint) -> Sequence[str] | None:
    """Return the names of countable classes; the framework stores them apart, or the first are countable."""
    inside = checkpoint.meta.get("dataset_meta")
    said = inside.get("thing_classes") if isinstance(inside, Mapping) else None
    if isinstance(said, (list, tuple)):
        return [str(name).strip() for name in said]
    number = section(checkpoint.training, "model", "panoptic_head").get("num_things_classes")
    names = framework_names(checkpoint)
    return names.value[:number] if isinstance(number, int) and names is not None else None


MMDET_SEGMENTS = CheckpointSource(
    TITLE, "Mask2Former, MaskFormer", f"panoptic_head.{_QUERIES} (mmdetection)", _recognises, _read, RECIPE
)
