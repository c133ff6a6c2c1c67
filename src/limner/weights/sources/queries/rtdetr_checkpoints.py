"""RT-DETR checkpoints of Hugging Face `transformers`, versions 1 and 2, on ResNets."""

import re
from collections.abc import Mapping
from typing import Any

from limner.core.errors import ModelError, describe
from limner.core.plan import ResizePlan
from limner.networks.rtdetr import ENTRY, STRIDES, RTDETROptions
from limner.weights.checkpoint_files import CONFIG, PREPROCESSOR, Checkpoint
from limner.weights.checkpoint_source import (
    Asked,
    CheckpointSource,
    Inferred,
    NetworkShape,
    Normalization,
    ReadNetwork,
)
from limner.weights.renaming import Naming, Rule, rename
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
from limner.weights.sources.facts.image_facts import infer_normalization, infer_resize
from limner.weights.sources.facts.transformers_backbones import HUGGING_FACE_BACKBONE, QUERY_KEY_VALUE, TITLE

SIDE = 640
"""Height and width to which transformers resizes images if nothing else is stated."""

FIXED: Mapping[str, tuple[Any, ...]] = {
    "learn_initial_query": (False,),
    "decoder_method": ("default",),
    "decoder_offset_scale": (0.5,),
    "normalize_before": (False,),
    "positional_encoding_temperature": (10000,),
    "encoder_activation_function": ("gelu",),
    "decoder_activation_function": ("relu",),
    "activation_function": ("silu",),
    "num_feature_levels": (len(STRIDES),),
    "encode_proj_layers": ([len(STRIDES) - 1],),
    "eval_size": (None,),
}
"""Settings of `config.json` that tensors do not show -> the values that limner's network has."""

_STEM: tuple[Rule, ...] = (
    *(
        rule
        for place in (0, 1)
        for rule in (
            (rf"^backbone\.embedder\.embedder\.{place}\.convolution\.", f"backbone.conv1.{3 * place}."),
            (rf"^backbone\.embedder\.embedder\.{place}\.normalization\.", f"backbone.conv1.{3 * place + 1}."),
        )
    ),
    (r"^backbone\.embedder\.embedder\.2\.convolution\.", "backbone.conv1.6."),
    (r"^backbone\.embedder\.embedder\.2\.normalization\.", "backbone.bn1."),
    # Their shortcuts have a pooling layer where they halve the size, ours also an identity where they do not.
    (r"\.shortcut\.(?:1\.)?convolution\.", ".downsample.1."),
    (r"\.shortcut\.(?:1\.)?normalization\.", ".downsample.2."),
)

_FUSION: tuple[Rule, ...] = (
    (r"^encoder\.lateral_convs\.", "encoder.laterals."),
    (r"^encoder\.downsample_convs\.", "encoder.downsampling."),
    (r"^encoder\.fpn_blocks\.", "encoder.finer."),
    (r"^encoder\.pan_blocks\.", "encoder.coarser."),
    (r"\.bottlenecks\.(\d)\.conv1\.", r".blocks.\1.wide."),
    (r"\.bottlenecks\.(\d)\.conv2\.", r".blocks.\1.narrow."),
    (r"^(encoder\.(?:finer|coarser)\.\d)\.conv1\.", r"\1.long."),
    (r"^(encoder\.(?:finer|coarser)\.\d)\.conv2\.", r"\1.short."),
    (r"^(encoder\.(?:finer|coarser)\.\d)\.conv3\.", r"\1.output."),
)

_HEADS: tuple[Rule, ...] = (
    (r"^(?:decoder\.)?class_embed\.", "decoder.classifiers."),
    (r"^(?:decoder\.)?bbox_embed\.", "decoder.regressors."),
    (r"^enc_bbox_head\.", "decoder.proposal_boxes."),
    (r"^enc_score_head\.", "decoder.proposal_scores."),
    (r"^enc_output\.0\.", "decoder.proposal_output."),
    (r"^enc_output\.1\.", "decoder.proposal_norm."),
    (r"^(decoder\.(?:regressors\.\d+|proposal_boxes))\.layers\.2\.", r"\1.last."),
    (r"^(decoder\.(?:regressors\.\d+|proposal_boxes))\.layers\.", r"\1.hidden."),
    (r"^decoder\.query_pos_head\.layers\.0\.", "decoder.position.0."),
    (r"^decoder\.query_pos_head\.layers\.1\.", "decoder.position.2."),
    (r"^denoising_class_embed\.", "decoder.label_embed."),
)

NAMING = Naming(
    title=TITLE,
    sign=r"^(model\.)?decoder\.query_pos_head\.layers\.0\.",
    unused=r"\.n_points_scale$|^(model\.)?(anchors|valid_mask)$",
    why_unused="limner computes it",
    rules=(
        (r"^model\.", ""),  # missing if all names begin so
        (r"^backbone\.model\.", "backbone."),
        *_STEM,
        (r"^encoder_input_proj\.(\d)\.0\.", r"encoder.input_proj.\1.conv."),
        (r"^encoder_input_proj\.(\d)\.1\.", r"encoder.input_proj.\1.norm."),
        (r"^decoder_input_proj\.(\d)\.0\.", r"decoder.input_proj.\1.conv."),
        (r"^decoder_input_proj\.(\d)\.1\.", r"decoder.input_proj.\1.norm."),
        (r"^encoder\.(?:encoder|aifi)\.0\.layers\.(\d+)\.self_attn_layer_norm\.", r"encoder.layers.\1.norm."),
        (r"^encoder\.(?:encoder|aifi)\.0\.layers\.", "encoder.layers."),
        *_FUSION,
        (r"^(decoder\.layers\.\d+)\.self_attn_layer_norm\.", r"\1.self_norm."),
        (r"^(decoder\.layers\.\d+)\.encoder_attn_layer_norm\.", r"\1.cross_norm."),
        (r"^(decoder\.layers\.\d+)\.encoder_attn\.", r"\1.cross_attn."),
        (r"^(\w+\.layers\.\d+)\.(?:mlp\.)?fc([12])\.", r"\1.feedforward.linear\2."),
        (r"^(\w+\.layers\.\d+)\.final_layer_norm\.", r"\1.feedforward.norm."),
        (r"\.self_attn\.o_proj\.", ".self_attn.out_proj."),
        *_HEADS,
        *QUERY_KEY_VALUE,
        *HUGGING_FACE_BACKBONE,
    ),
)


def _recognises(checkpoint: Checkpoint) -> bool:
    return any(re.search(NAMING.sign, name) for name in checkpoint.tensors)


def _read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    refuse_variants(checkpoint, FIXED, "RT-DETR")
    renamed = rename(checkpoint.tensors, NAMING)
    sizes = renamed.sizes
    if "decoder.classifiers.0.weight" not in sizes:
        raise ModelError(
            describe(
                "The checkpoint has no class head, so its classes are unknown",
                where=checkpoint.path,
                expected="class_embed, as in RTDetrV2ForObjectDetection",
            )
        )
    classes = sizes["decoder.classifiers.0.weight"][0]
    options = _options(sizes, checkpoint) | asked.options
    share_heads(renamed, int(options["decoder_layers"]))
    summary = f"RT-DETR on {options['backbone']}, {options['num_queries']} queries"
    shape = NetworkShape("rtdetr", options, classes, input_channels(sizes), summary)
    normalization, resize = _normalization(checkpoint), _resize(checkpoint, classes)
    return ReadNetwork(
        shape, renamed, conclude_boxes(checkpoint, classes, asked, normalization=normalization, resize=resize)
    )


def _options(sizes: Sizes, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the network's options, from the shapes of the tensors and from the configuration."""
    config = checkpoint.config
    heads = {config.get(f"{part}_attention_heads", RTDETROptions().heads) for part in ("encoder", "decoder")}
    if len(heads) > 1:
        raise ModelError(
            describe(
                "Encoder and decoder have different numbers of heads",
                where=checkpoint.path / CONFIG,
                found=f"{sorted(heads)}",
                expected="the same number",
            )
        )
    layers = {part: count_layers(sizes, rf"^{part}\.layers\.(\d+)\.") for part in ("encoder", "decoder")}
    width = sizes["encoder.input_proj.0.conv.weight"][0]
    offsets = sizes["decoder.layers.0.cross_attn.sampling_offsets.bias"][0]
    (number,) = heads
    hidden = sizes.get("encoder.layers.0.feedforward.linear1.bias", (RTDETROptions().encoder_feedforward,))
    return {
        "backbone": recognize_backbone(sizes, str(checkpoint.path)),
        "backbone_norm": "trained" if "backbone.bn1.num_batches_tracked" in sizes else "frozen",
        "encoder_channels": width,
        "channels": sizes["decoder.input_proj.0.conv.weight"][0],
        "num_queries": int(config.get("num_queries", RTDETROptions().num_queries)),
        "heads": int(number),
        "points": offsets // (2 * int(number) * len(STRIDES)),
        "encoder_layers": layers["encoder"],
        "decoder_layers": layers["decoder"],
        "encoder_feedforward": hidden[0],
        "feedforward": sizes["decoder.layers.0.feedforward.linear1.bias"][0],
        "expansion": sizes["encoder.finer.0.long.conv.weight"][0] / width,
        "denoising": _denoising(sizes, config),
    }


def _denoising(sizes: Sizes, config: Mapping[str, Any]) -> int:
    if "decoder.label_embed.weight" not in sizes:
        return 0
    return int(config.get("num_denoising", RTDETROptions().denoising))


def _normalization(checkpoint: Checkpoint) -> Inferred[Normalization]:
    """Return that of the preprocessor; transformers' default for RT-DETR is values from 0 to 1."""
    if checkpoint.preprocessor.get("do_normalize", False):
        return infer_normalization(checkpoint)
    values = Normalization((0.0,) * 3, (255.0,) * 3)
    stated = PREPROCESSOR if checkpoint.preprocessor else f"no {PREPROCESSOR}: transformers' default"
    return Inferred(values, f"{stated}: values from 0 to 1, as do_normalize is false")


def _resize(checkpoint: Checkpoint, classes: int) -> Inferred[ResizePlan]:
    if "size" not in checkpoint.preprocessor and checkpoint.preprocessor.get("do_resize", True):
        stated = f"no size in {PREPROCESSOR}: transformers' default"
        return Inferred(ResizePlan(size=(SIDE, SIDE)), stated)
    found = infer_resize(checkpoint, classes, TASK, "")
    return Inferred(found.value.model_copy(update={"multiple": 1}), found.why)


RTDETR_HUGGING_FACE = CheckpointSource(
    TITLE,
    "RT-DETR",
    "model.decoder.query_pos_head.layers.0.weight (Hugging Face)",
    _recognises,
    _read,
    box_recipe(ENTRY.loss, batch_size=16),
)
