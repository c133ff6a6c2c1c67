"""MaskFormer checkpoints of Hugging Face `transformers`: Swin or ResNet, with DETR's decoder."""

import re
from collections.abc import Mapping
from typing import Any

from limner.core.errors import ModelError, describe
from limner.networks.maskformer import MaskFormerOptions
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import Asked, CheckpointSource, Conclusions, NetworkShape, ReadNetwork
from limner.weights.renaming import Naming, Rule, rename
from limner.weights.sources.facts.backbone_shapes import (
    Sizes,
    count_layers,
    input_channels,
    recognize_backbone,
)
from limner.weights.sources.facts.image_facts import infer_normalization, infer_resize
from limner.weights.sources.facts.label_facts import infer_labels, infer_licence, infer_task
from limner.weights.sources.facts.transformers_backbones import HUGGING_FACE_BACKBONE, QUERY_KEY_VALUE, TITLE
from limner.weights.sources.queries.mask2former_checkpoints import RECIPE

_DECODER = "model.transformer_module.decoder.layers.0.encoder_attn."

_CROSS: tuple[Rule, ...] = tuple(
    (rf"\.cross_attn\.{letter}_proj\.(weight|bias)$", rf".cross_attn.in_proj_\1@{place}")
    for place, letter in enumerate("qkv")
)

NAMING = Naming(
    title=TITLE,
    sign=re.escape(_DECODER),
    unused=r"^criterion\.|\.relative_position_index$|^model\.pixel_level_module\.encoder\.(\w+\.)?layernorm\.",
    rules=(
        (r"^model\.pixel_level_module\.decoder\.mask_projection\.", "pixel_decoder.mask_features."),
        (r"^model\.pixel_level_module\.decoder\.fpn\.stem\.", "pixel_decoder.smoothing.3."),
        *(
            (
                rf"^model\.pixel_level_module\.decoder\.fpn\.layers\.{step}\.{theirs}\.",
                f"pixel_decoder.{ours}.{2 - step}.",
            )
            for step in range(3)
            for theirs, ours in (("proj", "laterals"), ("block", "smoothing"))
        ),
        (r"^(pixel_decoder\.\w+\.\d)\.0\.", r"\1.conv."),
        (r"^(pixel_decoder\.\w+\.\d)\.1\.", r"\1.norm."),
        (r"^model\.pixel_level_module\.encoder\.(?:model\.|swin\.|_backbone\.)?", "backbone."),
        (r"^backbone\.hidden_states_norms\.(\d)\.", r"norms.\1."),
        (r"^model\.transformer_module\.queries_embedder\.weight$", "query_decoder.query_embed"),
        (r"^model\.transformer_module\.input_projection\.", "query_decoder.input_proj."),
        (r"^model\.transformer_module\.decoder\.layernorm\.", "query_decoder.norm."),
        (r"^model\.transformer_module\.decoder\.", "query_decoder."),
        (r"^(query_decoder\.layers\.\d+)\.encoder_attn\.", r"\1.cross_attn."),
        (r"^(query_decoder\.layers\.\d+)\.encoder_attn_layer_norm\.", r"\1.cross_norm."),
        (r"^(query_decoder\.layers\.\d+)\.self_attn_layer_norm\.", r"\1.self_norm."),
        (r"^(query_decoder\.layers\.\d+)\.final_layer_norm\.", r"\1.feedforward.norm."),
        (r"^(query_decoder\.layers\.\d+)\.(?:mlp\.)?fc([12])\.", r"\1.feedforward.linear\2."),
        (r"^(query_decoder\..*)\.o_proj\.", r"\1.out_proj."),
        *_CROSS,
        *QUERY_KEY_VALUE,
        *HUGGING_FACE_BACKBONE,
        (r"^class_predictor\.", "head.class_embed."),
        *((rf"^mask_embedder\.{step}\.0\.", f"head.mask_embed.{2 * step}.") for step in range(3)),
    ),
)


def _recognises(checkpoint: Checkpoint) -> bool:
    return any(name.startswith(_DECODER) for name in checkpoint.tensors)


def _read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    renamed = rename(checkpoint.tensors, NAMING)
    sizes = renamed.sizes
    classes = sizes.get("head.class_embed.bias", (1,))[0] - 1
    if classes < 1:
        raise ModelError(
            describe(
                "The checkpoint has no class head, so its classes are unknown",
                where=checkpoint.path,
                expected="class_predictor, as in MaskFormerForInstanceSegmentation",
            )
        )
    decoder = checkpoint.config.get("decoder_config")
    heads = decoder.get("decoder_attention_heads", 8) if isinstance(decoder, Mapping) else 8
    options = maskformer_options(sizes, int(heads), str(checkpoint.path)) | asked.options
    summary = f"maskformer, {options['backbone']}, {options.get('num_queries', 100)} queries"
    shape = NetworkShape("maskformer", options, classes, input_channels(sizes), summary)
    task = infer_task(checkpoint, classes, asked.task)
    conclusions = Conclusions(
        task,
        infer_labels(checkpoint, classes, task.value, asked.classes),
        infer_normalization(checkpoint),
        infer_resize(checkpoint, classes, task.value, str(options["backbone"])),
        infer_licence(checkpoint, classes, asked.licence),
    )
    return ReadNetwork(shape, renamed, conclusions)


def maskformer_options(sizes: Sizes, heads: int, where: str) -> dict[str, Any]:
    """Return the options that differ from the defaults.

    Args:
        sizes: Tensors of the whole network, by limner's names.
        heads: Number of attention heads, which no tensor shows.
        where: The checkpoint, for error messages.

    Raises:
        ModelError: The backbone is not supported.
    """
    queries = sizes.get("query_decoder.query_embed", (100, 256))
    found = {
        "backbone": recognize_backbone(sizes, where),
        "channels": queries[1],
        "num_queries": queries[0],
        "heads": heads,
        "feedforward": sizes.get("query_decoder.layers.0.feedforward.linear1.bias", (2048,))[0],
        "decoder_layers": count_layers(sizes, r"query_decoder\.layers\.(\d+)\."),
        "pixel_layers": count_layers(sizes, r"pixel_encoder\.layers\.(\d+)\."),
    }
    usual = MaskFormerOptions().model_dump()
    return {name: value for name, value in found.items() if name == "backbone" or value != usual[name]}


MASKFORMER_HUGGING_FACE = CheckpointSource(
    TITLE, "MaskFormer", f"{_DECODER}... (Hugging Face)", _recognises, _read, RECIPE
)
