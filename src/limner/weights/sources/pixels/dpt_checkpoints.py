"""DPT checkpoints of Hugging Face `transformers` and segmentation-models-pytorch, on a plain ViT."""

import re
from math import isqrt
from typing import Any

from limner.core.errors import ModelError, describe
from limner.core.plan import ResizePlan
from limner.networks.backbones.vit import PATCH, VITS
from limner.weights.checkpoint_files import CONFIG, Checkpoint
from limner.weights.checkpoint_source import Asked, CheckpointSource, Inferred, NetworkShape, ReadNetwork
from limner.weights.how_read import IMAGES_AND_CLASSES
from limner.weights.renaming import Naming, rename
from limner.weights.sources.facts.backbone_shapes import Sizes, count_layers
from limner.weights.sources.facts.dense_facts import (
    RECIPE,
    TASK,
    conclude,
    imagenet,
    norm_eps,
    preprocessor_normalization,
)
from limner.weights.sources.facts.image_facts import infer_resize
from limner.weights.sources.facts.transformers_backbones import QUERY_KEY_VALUE, TITLE
from limner.weights.sources.pixels.smp_names import TITLE as SMP_TITLE

_SIGN = "neck.fusion_stage.layers.1.residual_layer1.convolution1.weight"

_UNITS = tuple(
    (
        rf"^neck\.fusion_stage\.layers\.(\d)\.residual_layer{unit}\.{theirs}{place}\.",
        rf"fusions.\1.{ours}.{kind}{place}.",
    )
    for unit, ours in ((1, "level"), (2, "refine"))
    for theirs, kind in (("convolution", "conv"), ("batch_norm", "norm"))
    for place in (1, 2)
)

NAMING = Naming(
    title=TITLE,
    sign=re.escape(_SIGN),
    unused=r"^neck\.fusion_stage\.layers\.0\.residual_layer1\.|^dpt\.layernorm\.|^dpt\.pooler\.",
    why_unused="their code does not use it for the scores either",
    rules=(
        (r"^dpt\.embeddings\.cls_token$", "backbone.cls_token"),
        (r"^dpt\.embeddings\.position_embeddings$", "backbone.pos_embed"),
        (r"^dpt\.embeddings\.patch_embeddings\.projection\.", "backbone.patch_embed.proj."),
        (r"^dpt\.(?:encoder\.layer|encoder\.layers|layers)\.", "backbone.blocks."),
        (r"\.attention\.attention\.(query|key|value)\.", r".attention.self.\1."),
        *QUERY_KEY_VALUE,
        (r"\.attention\.(?:output\.dense|o_proj)\.", ".attn.proj."),
        (r"^(backbone\..*)\.(?:intermediate\.dense|mlp\.fc1)\.", r"\1.mlp.fc1."),
        (r"^(backbone\..*)\.(?:output\.dense|mlp\.fc2)\.", r"\1.mlp.fc2."),
        (r"\.layernorm_before\.", ".norm1."),
        (r"\.layernorm_after\.", ".norm2."),
        (r"^neck\.reassemble_stage\.readout_projects\.(\d)\.", r"levels.\1.readout."),
        (r"^neck\.reassemble_stage\.layers\.", "levels."),
        (r"^neck\.convs\.", "laterals."),
        *_UNITS,
        (r"^neck\.fusion_stage\.layers\.(\d)\.projection\.", r"fusions.\1.projection."),
        (r"^head\.head\.0\.", "neck.conv."),
        (r"^head\.head\.1\.", "neck.norm."),
        (r"^head\.head\.4\.", "head.conv."),
        (r"^auxiliary_head\.head\.0\.", "auxiliary_head.convs.0.conv."),
        (r"^auxiliary_head\.head\.1\.", "auxiliary_head.convs.0.norm."),
        (r"^auxiliary_head\.head\.4\.", "auxiliary_head.classifier.conv."),
    ),
)


def _recognises(checkpoint: Checkpoint) -> bool:
    return _SIGN in checkpoint.tensors and "dpt.embeddings.cls_token" in checkpoint.tensors


def _read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    renamed = rename(checkpoint.tensors, NAMING)
    sizes = renamed.sizes
    if "neck.conv.weight" not in sizes or "head.conv.weight" not in sizes:
        raise ModelError(
            describe(
                "The checkpoint has no classifier of pixels, so its classes are unknown",
                where=checkpoint.path,
                found=f"{CONFIG}: {checkpoint.config.get('architectures', 'none')}",
                expected="DPTForSemanticSegmentation",
            )
        )
    options = _options(sizes, checkpoint) | asked.options
    classes = sizes["head.conv.weight"][0]
    channels = sizes["backbone.patch_embed.proj.weight"][1]
    shape = NetworkShape("dpt", options, classes, channels, f"DPT on {options['backbone']}")
    normalization = preprocessor_normalization(checkpoint)
    conclusions = conclude(
        checkpoint,
        shape,
        asked,
        normalization=normalization,
        resize=_resize(checkpoint, classes),
        facts=norm_eps(checkpoint.config),
    )
    return ReadNetwork(shape, renamed, conclusions)


def _options(sizes: Sizes, checkpoint: Checkpoint) -> dict[str, Any]:
    config = checkpoint.config
    _, tokens, width = sizes["backbone.pos_embed"]
    side = PATCH * round((tokens - 1) ** 0.5)
    depth = count_layers(sizes, r"backbone\.blocks\.(\d+)\.")
    # The configuration has the number of blocks, of which those after the last tap are not used.
    stated = int(config.get("num_hidden_layers", depth))
    kernel = sizes["backbone.patch_embed.proj.weight"][-1]
    named = next((name for name, shape in VITS.items() if shape.width == width), None)
    if named is None or kernel != PATCH or stated != depth:
        raise ModelError(
            describe(
                "The checkpoint's ViT is not supported",
                where=checkpoint.path / CONFIG,
                found=f"{depth} blocks of {width} channels, patches of {kernel} pixels",
                expected=f"the width of one of {', '.join(VITS)}, with patches of {PATCH} pixels",
            )
        )
    taps = config.get("backbone_out_indices")
    projects = "levels.0.readout.0.weight" in sizes
    return {
        "backbone": named,
        "num_blocks": depth,
        "image_size": side,
        **({"taps": tuple(taps)} if taps else {}),
        "widths": tuple(sizes[f"laterals.{level}.weight"][1] for level in range(4)),
        "channels": sizes["laterals.0.weight"][0],
        "readout": "project" if projects else config.get("readout_type", "ignore"),
        "fusion_norm": "fusions.1.level.norm1.weight" in sizes,
        "auxiliary": "auxiliary_head.classifier.conv.weight" in sizes,
    }


def _resize(checkpoint: Checkpoint, classes: int) -> Inferred[ResizePlan]:
    if "size" not in checkpoint.preprocessor:
        return Inferred(ResizePlan(size=(384, 384)), "transformers' default for DPT")
    found = infer_resize(checkpoint, classes, TASK, "")
    multiple = int(checkpoint.preprocessor.get("ensure_multiple_of") or 1)
    return Inferred(found.value.model_copy(update={"multiple": multiple}), found.why)


DPT_HUGGING_FACE = CheckpointSource(TITLE, "DPT", f"{_SIGN} (Hugging Face)", _recognises, _read, RECIPE)

_SMP_SIGN = "decoder.fusion_blocks.0.residual_conv_block1.conv_1.weight"

SMP_NAMING = Naming(
    title=SMP_TITLE,
    sign=re.escape(_SMP_SIGN),
    unused=r"^encoder\.model\.(?:norm|fc_norm|head)\.|^classification_head\.",
    why_unused="their code does not use it for the scores either",
    rules=(
        (r"^encoder\.model\.", "backbone."),
        (r"^decoder\.projection_blocks\.(\d)\.project\.", r"levels.\1.readout."),
        (r"^decoder\.reassemble_blocks\.(\d)\.project_to_out_channel\.", r"levels.\1.projection."),
        (r"^decoder\.reassemble_blocks\.(\d)\.upsample\.", r"levels.\1.resize."),
        (r"^decoder\.reassemble_blocks\.(\d)\.project_to_feature_dim\.", r"laterals.\1."),
        (r"^decoder\.fusion_blocks\.(\d)\.project\.", r"fusions.\1.projection."),
        (r"^decoder\.fusion_blocks\.(\d)\.residual_conv_block1\.", r"fusions.\1.level."),
        (r"^decoder\.fusion_blocks\.(\d)\.residual_conv_block2\.", r"fusions.\1.refine."),
        (r"^(fusions\..*)\.conv_(\d)\.", r"\1.conv\2."),
        (r"^(fusions\..*)\.batch_norm_(\d)\.", r"\1.norm\2."),
        (r"^segmentation_head\.head\.0\.", "neck.conv."),
        (r"^segmentation_head\.head\.1\.", "neck.norm."),
        (r"^segmentation_head\.head\.4\.", "head.conv."),
    ),
)


def _read_smp(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    renamed = rename(checkpoint.tensors, SMP_NAMING)
    sizes = renamed.sizes
    tokens = sizes.get("backbone.pos_embed", (1, 0, 0))[1]
    if "backbone.cls_token" not in sizes or isqrt(tokens - 1) ** 2 != tokens - 1:
        raise ModelError(
            describe(
                "The checkpoint's DPT is on an encoder that limner's does not have",
                where=checkpoint.path,
                found=f"{checkpoint.config.get('encoder_name', 'unknown encoder')} with {tokens} positions",
                expected="a ViT of timm with a class token, no registers, and a position for each patch",
            )
        )
    options = _options(sizes, checkpoint)
    depth, said = options["num_blocks"], checkpoint.config.get("encoder_output_indices")
    readout = "add" if checkpoint.config.get("decoder_readout") == "add" else "ignore"
    taps = tuple(index % depth for index in said or [depth * n // 4 - 1 for n in (1, 2, 3, 4)])
    options |= {
        "taps": taps,
        "readout": "project" if "levels.0.readout.0.weight" in sizes else readout,
        "refines_coarsest": True,
        "auxiliary": False,
    }
    for block in range(max(taps) + 1, depth):
        renamed.leave_out(f"backbone.blocks.{block}.", "after the last block that is used")
    options |= asked.options
    classes, channels = sizes["head.conv.weight"][0], sizes["backbone.patch_embed.proj.weight"][1]
    shape = NetworkShape("dpt", options, classes, channels, f"DPT on {options['backbone']}")
    side = options["image_size"]
    resize = Inferred(ResizePlan(size=(side, side)), "the size that its positions are learned for")
    why = "assumed: ImageNet's; timm trains many ViTs with others: --set input.mean=[...] input.std=[...]"
    conclusions = conclude(
        checkpoint,
        shape,
        asked,
        normalization=imagenet(why),
        resize=resize,
        unknown=IMAGES_AND_CLASSES,
    )
    return ReadNetwork(shape, renamed, conclusions)


DPT_SMP = CheckpointSource(
    SMP_TITLE,
    "DPT",
    _SMP_SIGN,
    lambda checkpoint: _SMP_SIGN in checkpoint.tensors,
    _read_smp,
    RECIPE,
)
