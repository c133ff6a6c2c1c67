"""EoMT checkpoints of Hugging Face `transformers`."""

import re
from typing import Any

from limner.core.errors import ModelError, describe
from limner.networks.backbones.vit import DINOV2S, PATCH
from limner.weights.checkpoint_files import CONFIG, PREPROCESSOR, Checkpoint
from limner.weights.checkpoint_source import (
    Asked,
    CheckpointSource,
    Conclusions,
    Inferred,
    NetworkShape,
    PredictionWindow,
    ReadNetwork,
)
from limner.weights.renaming import Naming, rename
from limner.weights.sources.facts.backbone_shapes import Sizes, count_layers
from limner.weights.sources.facts.dense_facts import preprocessor_normalization, stated_licence
from limner.weights.sources.facts.image_facts import infer_resize
from limner.weights.sources.facts.label_facts import infer_labels, infer_task
from limner.weights.sources.facts.transformers_backbones import QUERY_KEY_VALUE, TITLE
from limner.weights.sources.queries.mask2former_checkpoints import RECIPE

_SIGN = "upscale_block.block.0.conv1.weight"

NAMING = Naming(
    title=TITLE,
    sign=re.escape(_SIGN),
    unused=r"^criterion\.|^embeddings\.mask_token$",
    rules=(
        (r"^embeddings\.cls_token$", "backbone.cls_token"),
        (r"^embeddings\.register_tokens$", "backbone.reg_token"),
        (r"^embeddings\.position_embeddings\.weight$", "backbone.pos_embed"),
        (r"^embeddings\.patch_embeddings\.projection\.", "backbone.patch_embed.proj."),
        (r"^layernorm\.", "backbone.norm."),
        (r"^layers\.", "backbone.blocks."),
        *QUERY_KEY_VALUE,
        (r"\.attention\.out_proj\.", ".attn.proj."),
        (r"\.layer_scale(\d)\.lambda1$", r".ls\1.gamma"),
        (r"^query\.weight$", "queries"),
        (r"^upscale_block\.block\.", "upscale."),
        (r"\.layernorm2d\.", ".norm."),
        *((rf"^mask_head\.fc{step + 1}\.", f"head.mask_embed.{2 * step}.") for step in range(3)),
        (r"^class_predictor\.", "head.class_embed."),
        (r"^attn_mask_probs$", "mask_shares"),
    ),
)


def _recognises(checkpoint: Checkpoint) -> bool:
    return _SIGN in checkpoint.tensors and "query.weight" in checkpoint.tensors


def _read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    renamed = rename(checkpoint.tensors, NAMING)
    renamed.change("backbone.pos_embed", lambda t: t[None], "an axis of images is added")
    sizes = renamed.sizes
    options = _options(sizes, checkpoint) | asked.options
    classes = sizes.get("head.class_embed.bias", (1,))[0] - 1
    summary = f"eomt, {options['backbone']}, {options['num_queries']} queries"
    channels = sizes.get("backbone.patch_embed.proj.weight", (0, 3))[1]
    shape = NetworkShape("eomt", options, classes, channels, summary)
    task = infer_task(checkpoint, classes, asked.task)
    resize = infer_resize(checkpoint, classes, task.value, "")
    conclusions = Conclusions(
        task,
        infer_labels(checkpoint, classes, task.value, asked.classes),
        preprocessor_normalization(checkpoint),
        Inferred(resize.value.model_copy(update={"multiple": 1}), resize.why),
        stated_licence(checkpoint, asked),
        _window(checkpoint),
        facts={"padding": "none: transformers pads images to squares, limner to whole patches"},
    )
    return ReadNetwork(shape, renamed, conclusions)


def _options(sizes: Sizes, checkpoint: Checkpoint) -> dict[str, Any]:
    depth = count_layers(sizes, r"backbone\.blocks\.(\d+)\.")
    patches, width = sizes["backbone.pos_embed"][1:]
    kernel = sizes.get("backbone.patch_embed.proj.weight", (0, 0, 0, 0))[-1]
    named = next((name for name, s in DINOV2S.items() if (s.width, s.num_blocks) == (width, depth)), None)
    if named is None or kernel != PATCH:
        raise ModelError(
            describe(
                "The checkpoint's ViT is not supported",
                where=checkpoint.path / CONFIG,
                found=f"{depth} blocks of {width} channels, patches of {kernel} pixels",
                expected=f"{', '.join(DINOV2S)}, with patches of {PATCH} pixels",
            )
        )
    return {
        "backbone": named,
        "joint_blocks": sizes["mask_shares"][0],
        "num_queries": sizes["queries"][0],
        "image_size": PATCH * round(patches**0.5),
    }


def _window(checkpoint: Checkpoint) -> Inferred[PredictionWindow] | None:
    """Return the window of semantic segmentation, for which transformers splits images into squares."""
    side = (checkpoint.preprocessor.get("size") or {}).get("shortest_edge")
    if not checkpoint.preprocessor.get("do_split_image") or not side:
        return None
    return Inferred(PredictionWindow((int(side), int(side)), 0.25), f"do_split_image of {PREPROCESSOR}")


EOMT_HUGGING_FACE = CheckpointSource(TITLE, "EoMT", f"{_SIGN} (Hugging Face)", _recognises, _read, RECIPE)
