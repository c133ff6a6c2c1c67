"""Deformable DETR checkpoints of its authors, of mmdetection and of Hugging Face `transformers`."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from limner.core.errors import ModelError, describe
from limner.core.plan import ResizePlan
from limner.networks.deformable_detr import ENTRY, DeformableDETROptions
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import Asked, CheckpointSource, Inferred, NetworkShape, ReadNetwork
from limner.weights.renaming import Naming, Renamed, rename, tensor_sizes
from limner.weights.sources.facts.backbone_shapes import (
    Sizes,
    count_layers,
    input_channels,
    recognize_backbone,
)
from limner.weights.sources.facts.box_facts import (
    TASK,
    box_recipe,
    conclude_boxes,
    refuse_variants,
    share_heads,
)
from limner.weights.sources.facts.dense_facts import imagenet, preprocessor_normalization
from limner.weights.sources.facts.image_facts import infer_resize
from limner.weights.sources.facts.openmmlab_backbones import leave_out_counters
from limner.weights.sources.facts.openmmlab_facts import (
    infer_preprocessing,
    infer_test_size,
    refuse_caffe_style,
    section,
    unknown_images,
)
from limner.weights.sources.queries.deformable_detr_names import AUTHORS, HUGGING_FACE, mmdet_naming

USUAL_SIZE = ResizePlan(shortest=800, longest=1333)
"""Size of images in prediction, in all published configurations."""

FIXED: Mapping[str, tuple[Any, ...]] = {
    "position_embedding_type": ("sine",),
    "activation_function": ("relu",),
}
"""Settings of `config.json` that tensors do not show -> the values that limner's network has."""


def _read_hugging_face(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    refuse_variants(checkpoint, FIXED, "Deformable DETR")
    config = checkpoint.config
    renamed = rename(checkpoint.tensors, HUGGING_FACE)
    said = {
        "heads": config.get("encoder_attention_heads"),
        "dilated": config.get("dilation"),
        "refines_boxes": config.get("with_box_refine"),
    }
    shape = _shape(renamed, said, checkpoint, asked)
    resize = infer_resize(checkpoint, shape.num_classes, TASK, "")
    conclusions = conclude_boxes(
        checkpoint,
        shape.num_classes,
        asked,
        normalization=preprocessor_normalization(checkpoint),
        resize=Inferred(resize.value.model_copy(update={"multiple": 1}), resize.why),
    )
    return ReadNetwork(shape, renamed, conclusions)


def _read_authors(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    renamed = rename(checkpoint.tensors, AUTHORS)
    shape = _shape(renamed, {}, checkpoint, asked)
    conclusions = conclude_boxes(
        checkpoint,
        shape.num_classes,
        asked,
        normalization=imagenet("ImageNet's, constant in the authors' code"),
        resize=Inferred(USUAL_SIZE, "as in the authors' code"),
    )
    return ReadNetwork(shape, renamed, conclusions)


def _read_mmdet(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    names = checkpoint.tensors
    renamed = rename(names, mmdet_naming(count_layers(tensor_sizes(names), r"neck\.convs\.(\d)\.")))
    leave_out_counters(renamed)
    _add_biases(renamed)
    model = section(checkpoint.training, "model")
    head = model if "with_box_refine" in model else section(model, "bbox_head")
    shape = _shape(renamed, {"refines_boxes": head.get("with_box_refine")}, checkpoint, asked)
    refuse_caffe_style(checkpoint)
    normalization, facts = infer_preprocessing(checkpoint, renamed)
    resize = infer_test_size(checkpoint, USUAL_SIZE)
    conclusions = conclude_boxes(
        checkpoint,
        shape.num_classes,
        asked,
        normalization=normalization,
        resize=resize,
        facts=facts,
        unknown=unknown_images(checkpoint),
    )
    return ReadNetwork(shape, renamed, conclusions)


def _add_biases(renamed: Renamed) -> None:
    """Add the biases of the projections, which mmdetection leaves out before a norm."""
    for name in [name for name in renamed.tensors if re.fullmatch(r"input_proj\.\d\.conv\.weight", name)]:
        bias = name.removesuffix("weight") + "bias"
        if bias not in renamed.tensors:
            zeros = torch.zeros(len(renamed.tensors[name]))
            renamed.add(bias, zeros, "a bias of zeros: that project has none here")


def _shape(renamed: Renamed, said: Mapping[str, Any], checkpoint: Checkpoint, asked: Asked) -> NetworkShape:
    """Return the network of renamed tensors, and make the number of heads that of its form.

    Args:
        renamed: Tensors by limner's names.
        said: Options that a configuration states, or None.
        checkpoint: The checkpoint, for messages.
        asked: What the caller has set.
    """
    sizes = renamed.sizes
    if "decoder.classifiers.0.weight" not in sizes or "decoder.regressors.0.last.weight" not in sizes:
        raise ModelError(
            describe(
                "The checkpoint has no heads of classes and boxes, so its classes are unknown",
                where=checkpoint.path,
                expected="class_embed and bbox_embed, or bbox_head.cls_branches and reg_branches",
            )
        )
    options = _options(renamed, sizes, said, checkpoint) | asked.options
    _fit_heads(renamed, options)
    form = "two-stage" if options["two_stage"] else "refinement" if options["refines_boxes"] else "plain"
    summary = f"Deformable DETR, {form}, on {options['backbone']}, {options['num_queries']} queries"
    why = asked.sources
    classes = sizes["decoder.classifiers.0.weight"][0]
    return NetworkShape("deformable-detr", options, classes, input_channels(sizes), summary, why)


def _options(
    renamed: Renamed, sizes: Sizes, said: Mapping[str, Any], checkpoint: Checkpoint
) -> dict[str, Any]:
    usual = DeformableDETROptions()
    levels, channels = sizes.get("level_embed", (usual.levels, usual.channels))
    heads = int(said.get("heads") or usual.heads)
    offsets = sizes.get("encoder.0.self_attn.sampling_offsets.bias", (2 * heads * levels * usual.points,))[0]
    refines = said.get("refines_boxes")
    is_two_stage = "decoder.proposal_output.weight" in sizes
    queries = sizes.get("decoder.query_embed.weight", (_stated_queries(checkpoint) or usual.num_queries,))[0]
    return {
        "backbone": recognize_backbone(sizes, str(checkpoint.path)),
        "backbone_norm": "trained" if "backbone.bn1.num_batches_tracked" in sizes else "frozen",
        "channels": channels,
        "num_queries": queries,
        "levels": levels,
        "dilated": bool(said.get("dilated") or False),
        "heads": heads,
        "points": offsets // (2 * heads * levels),
        "encoder_layers": count_layers(sizes, r"encoder\.(\d+)\."),
        "decoder_layers": count_layers(sizes, r"decoder\.layers\.(\d+)\."),
        "feedforward": sizes.get("encoder.0.feedforward.linear1.bias", (usual.feedforward,))[0],
        "refines_boxes": is_two_stage or (_heads_differ(renamed) if refines is None else bool(refines)),
        "two_stage": is_two_stage,
    }


def _stated_queries(checkpoint: Checkpoint) -> int | None:
    """Return the number of proposals that become queries, which no tensor shows."""
    model = section(checkpoint.training, "model")
    places = (
        (checkpoint.config, "two_stage_num_proposals"),
        (model, "num_queries"),
        (section(model, "bbox_head", "transformer"), "two_stage_num_proposals"),
        (section(model, "bbox_head"), "num_query"),
    )
    return next((int(place[key]) for place, key in places if place.get(key)), None)


def _heads_differ(renamed: Renamed) -> bool:
    """Return whether the layers have boxes of their own; else the same head is stored once for each."""
    first, second = (renamed.tensors.get(f"decoder.regressors.{i}.hidden.0.weight") for i in (0, 1))
    return first is not None and second is not None and not torch.equal(first, second)


def _fit_heads(renamed: Renamed, options: Mapping[str, Any]) -> None:
    if options["refines_boxes"]:
        share_heads(renamed, int(options["decoder_layers"]) + int(options["two_stage"]))
        return
    for name in list(renamed.tensors):
        match = re.match(r"decoder\.(classifiers|regressors)\.([1-9]\d*)\.", name)
        first = name.replace(f".{match[2]}.", ".0.", 1) if match else name
        if match and torch.equal(renamed.tensors[name], renamed.tensors[first]):
            renamed.leave_out(name, "equals that of the first layer, of which it is a copy")


def _source(
    naming: Naming,
    example: str,
    read: Callable[[Checkpoint, Asked], ReadNetwork],
    also: str = "",
    other: str = r"(?!)",
) -> CheckpointSource:
    """Return a source; some name matches `also` too, and none matches `other`."""

    def recognises(checkpoint: Checkpoint) -> bool:
        def has(pattern: str) -> bool:
            return any(re.search(pattern, name) for name in checkpoint.tensors)

        return has(naming.sign) and has(also) and not has(other)

    return CheckpointSource(
        naming.title, "Deformable DETR", example, recognises, read, box_recipe(ENTRY.loss, batch_size=16)
    )


DEFORMABLE_DETR_HUGGING_FACE = _source(
    HUGGING_FACE,
    "model.encoder.layers.0.self_attn.sampling_offsets.weight (Hugging Face)",
    _read_hugging_face,
    also=r"^(model\.)?encoder\.layers\.0\.self_attn_layer_norm\.",
)
DEFORMABLE_DETR_AUTHORS = _source(
    AUTHORS, "transformer.encoder.layers.0.self_attn.sampling_offsets.weight (the authors')", _read_authors
)
DEFORMABLE_DETR_MMDET = _source(
    mmdet_naming(3),
    "bbox_head.cls_branches.0.weight and encoder... (mmdetection)",
    _read_mmdet,
    also=r"^(bbox_head\.transformer\.)?encoder\.layers\.0\.(self_attn|attentions\.0)\.sampling_offsets\.",
    other=r"\.(query_scale|dn_query_generator|label_embedding|ref_point_head)\.|^dn_query_generator\.",
)
