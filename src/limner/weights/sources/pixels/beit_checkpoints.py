"""UPerNet on BEiT, of mmsegmentation and Hugging Face `transformers`: limner's `vit` with relative positions.

BEiT has no position embeddings, which become zeros here, and keys without a bias. Its relative positions are
learned for one size; transformers interpolates them bilinearly for others, mmsegmentation accepts no other.
"""

import re
from collections.abc import Mapping
from math import isqrt
from typing import Any

import torch

from limner.core.errors import ModelError, describe
from limner.networks.backbones.vit import PATCH, VITS
from limner.weights.checkpoint_files import CONFIG, Checkpoint
from limner.weights.checkpoint_source import (
    Asked,
    CheckpointSource,
    Inferred,
    NetworkShape,
    PredictionWindow,
    ReadNetwork,
)
from limner.weights.renaming import Naming, Renamed, Rule, rename
from limner.weights.sources.facts.backbone_shapes import Sizes, count_layers
from limner.weights.sources.facts.dense_facts import (
    RECIPE,
    TASK,
    UNCHANGED,
    conclude,
    norm_eps,
    preprocessor_normalization,
)
from limner.weights.sources.facts.image_facts import infer_resize
from limner.weights.sources.facts.openmmlab_backbones import VISION_TRANSFORMER
from limner.weights.sources.facts.openmmlab_facts import ASSUMED, CONFIGURATION, section
from limner.weights.sources.facts.transformers_backbones import QUERY_KEY_VALUE
from limner.weights.sources.facts.transformers_backbones import TITLE as HUGGING_FACE_TITLE
from limner.weights.sources.pixels.mmseg import read_mmseg
from limner.weights.sources.pixels.mmseg_names import TITLE as MMSEG_TITLE
from limner.weights.sources.pixels.mmseg_names import UPER_HEAD
from limner.weights.sources.pixels.mmseg_variants import refuse_mmseg_variants

_TAPS = (3, 5, 7, 11)
"""Blocks of the published configurations of mmsegmentation, counted from 0."""

_STRIDE = 426
"""Step of the published sliding window of 640 pixels."""

_HEAD: tuple[Rule, ...] = (
    *UPER_HEAD,
    (r"^decode_head\.(?:conv_seg|classifier)\.", "head.conv."),
    (r"^auxiliary_head\.(?:conv_seg|classifier)\.", "auxiliary_head.classifier.conv."),
    (r"^((?!backbone).*)\.(?:bn|batch_norm)\.", r"\1.norm."),
)
_UNUSED = r"\.relative_position_index$|^data_preprocessor\.|\.mask_token$"
_WHY_UNUSED = "limner computes it, or prediction does not need it"

HUGGING_FACE = Naming(
    title=HUGGING_FACE_TITLE,
    sign=r"^(?:beit|backbone)\.encoder\.layer\.0\.lambda_1$",
    unused=_UNUSED,
    why_unused=_WHY_UNUSED,
    rules=(
        (r"^(?:beit|backbone)\.embeddings\.cls_token$", "backbone.cls_token"),
        (r"^(?:beit|backbone)\.embeddings\.patch_embeddings\.projection\.", "backbone.patch_embed.proj."),
        (
            r"^(?:beit|backbone)\.encoder\.layer\.(\d+)\..*\.relative_position_bias_table$",
            r"backbone.relative_positions.\1.table",
        ),
        (r"^(?:beit|backbone)\.encoder\.layer\.", "backbone.blocks."),
        (r"\.attention\.attention\.query\.bias$", ".attn.q_bias"),
        (r"\.attention\.attention\.value\.bias$", ".attn.v_bias"),
        (r"\.attention\.attention\.(query|key|value)\.", r".attention.self.\1."),
        *QUERY_KEY_VALUE,
        (r"\.attention\.output\.dense\.", ".attn.proj."),
        (r"^(backbone\..*)\.intermediate\.dense\.", r"\1.mlp.fc1."),
        (r"^(backbone\..*)\.output\.dense\.", r"\1.mlp.fc2."),
        (r"\.layernorm_before\.", ".norm1."),
        (r"\.layernorm_after\.", ".norm2."),
        (r"\.lambda_(\d)$", r".ls\1.gamma"),
        (r"^(?:backbone\.)?fpn1\.", "neck.four."),
        (r"^(?:backbone\.)?fpn2\.0\.", "neck.two."),
        *_HEAD,
    ),
)

MMSEGMENTATION = Naming(
    title=MMSEG_TITLE,
    sign=r"^backbone\.layers\.0\.attn\.relative_position_bias_table$",
    unused=_UNUSED,
    why_unused=_WHY_UNUSED,
    rules=(
        (
            r"^backbone\.layers\.(\d+)\.attn\.relative_position_bias_table$",
            r"backbone.relative_positions.\1.table",
        ),
        *VISION_TRANSFORMER,
        (r"\.gamma_(\d)$", r".ls\1.gamma"),
        (r"^neck\.upsample_4x\.", "neck.four."),
        (r"^neck\.upsample_2x\.0\.", "neck.two."),
        *_HEAD,
    ),
)


def _recognises(checkpoint: Checkpoint, naming: Naming) -> bool:
    names = checkpoint.tensors
    return any(re.search(naming.sign, name) for name in names) and any(
        name.startswith("decode_head.") for name in names
    )


def _read_hugging_face(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    config = checkpoint.config.get("backbone_config") or checkpoint.config
    said = config.get("out_indices") or config.get("segmentation_indices")
    if not said:
        raise ModelError(
            describe(
                "The checkpoint does not tell which blocks of its BEiT are used",
                where=checkpoint.path,
                found=f"no {CONFIG}, or no out_indices in it",
                expected="the whole folder of save_pretrained, with config.json",
            )
        )
    # Index 0 is the embedding in a backbone; BEiT's own network for segmentation counts one more.
    first = 1 if "backbone_config" in checkpoint.config else 2
    renamed, sizes, options = _network(checkpoint, HUGGING_FACE, [index - first for index in said])
    options |= {"interpolation": "bilinear"} | asked.options
    classes = sizes["head.conv.weight"][0]
    shape = NetworkShape("vit", options, classes, _channels(sizes), f"UPerNet on BEiT, {options['backbone']}")
    resize = infer_resize(checkpoint, classes, TASK, "") if "size" in checkpoint.preprocessor else UNCHANGED
    conclusions = conclude(
        checkpoint,
        shape,
        asked,
        normalization=preprocessor_normalization(checkpoint),
        resize=Inferred(resize.value.model_copy(update={"multiple": 1}), resize.why),
        facts=norm_eps(config),
    )
    return ReadNetwork(shape, renamed, conclusions)


def _read_mmsegmentation(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    model = section(checkpoint.training, "model")
    refuse_mmseg_variants(model, checkpoint)
    said = section(model, "backbone").get("out_indices")
    renamed, sizes, options = _network(checkpoint, MMSEGMENTATION, said or _TAPS)
    options |= asked.options
    summary = f"UPerNet on BEiT, {options['backbone']}"
    sources = {"taps": CONFIGURATION if said else ASSUMED} | asked.sources
    classes = sizes["head.conv.weight"][0]
    shape = NetworkShape("vit", options, classes, _channels(sizes), summary, sources)
    side, overlap = options["image_size"], round(1 - _STRIDE / 640, 4)
    window = Inferred(PredictionWindow((side, side), overlap), "the only size that its positions fit")
    return read_mmseg(checkpoint, asked, shape, renamed, window=window)


def _network(
    checkpoint: Checkpoint,
    naming: Naming,
    taps: Any,  # noqa: ANN401 - of a configuration
) -> tuple[Renamed, Sizes, dict[str, Any]]:
    """Return the tensors, their sizes, and the options that they and the taps tell."""
    renamed = rename(checkpoint.tensors, naming)
    sizes = renamed.sizes
    rows, heads = sizes.get("backbone.relative_positions.0.table", (0, 0))
    width = sizes.get("backbone.cls_token", (1, 1, 0))[2]
    kernel = sizes.get("backbone.patch_embed.proj.weight", (0,))[-1]
    reach = isqrt(max(rows - 3, 0))  # a row for each offset of patches, and three for the class token
    named = next((name for name, vit in VITS.items() if (vit.width, vit.num_heads) == (width, heads)), None)
    taps = tuple(int(tap) for tap in taps)
    depth = count_layers(sizes, r"backbone\.blocks\.(\d+)\.")
    is_square = reach**2 == rows - 3 and reach % 2 == 1
    has_taps = len(taps) == 4 and min(taps) >= 0 and max(taps) < depth
    if named is None or kernel != PATCH or not is_square or not has_taps or "neck.four.0.weight" not in sizes:
        raise ModelError(
            describe(
                "The checkpoint's BEiT is not supported",
                where=checkpoint.path,
                found=f"{depth} blocks of {width} channels and {heads} heads, patches of {kernel} pixels, "
                f"{rows} relative positions in each block, maps of the blocks {taps}, counted from 0",
                expected=f"patches of {PATCH} pixels, relative positions of a square image in each block, "
                "four maps, a pyramid made of them, and as many channels and heads as one of "
                f"{', '.join(VITS)}",
            )
        )
    _complete(renamed, depth=depth, used=max(taps) + 1, patches=((reach + 1) // 2) ** 2, width=width)
    side = sizes.get("auxiliary_head.classifier.conv.weight")
    options = {
        "backbone": named,
        "num_blocks": depth,
        "image_size": PATCH * (reach + 1) // 2,
        "taps": taps,
        "relative_positions": True,
        "final_norm": "backbone.norm.weight" in sizes,
        "neck": "deconvolution",
        "channels": sizes.get("head.conv.weight", (1, 1))[1],
        "auxiliary_level": 2,
        **({"layer_scale": 0.1} if "backbone.blocks.0.ls1.gamma" in sizes else {}),
        **({"auxiliary_channels": side[1]} if side else {"auxiliary": False}),
    }
    return renamed, sizes, options


def _complete(renamed: Renamed, *, depth: int, used: int, patches: int, width: int) -> None:
    """Join the biases of queries and values, add what BEiT lacks, and leave out blocks that are not used."""
    for block in range(depth):
        start = f"backbone.blocks.{block}.attn."
        names = (f"{start}q_bias", f"{start}v_bias")
        if all(name in renamed.tensors for name in names):
            query, value = (renamed.tensors.pop(name) for name in names)
            whole = f"{start}qkv.bias"
            renamed.tensors[whole] = torch.cat([query, torch.zeros_like(query), value])
            originals = tuple(renamed.theirs.pop(name) for name in names)
            renamed.theirs[whole], renamed.joined[whole] = originals[0], originals
            renamed.reshaped[whole] = "biases of queries and values; keys have none, so theirs are zeros"
    for block in range(used, depth):
        for part in ("blocks", "relative_positions"):
            renamed.leave_out(f"backbone.{part}.{block}.", "after the last block that is used")
    if "backbone.pos_embed" not in renamed.tensors:
        zeros = torch.zeros(1, patches + 1, width)
        renamed.add("backbone.pos_embed", zeros, "BEiT has only relative positions; zeros change nothing")


def _channels(sizes: Mapping[str, tuple[int, ...]]) -> int:
    return sizes["backbone.patch_embed.proj.weight"][1]


BEIT_HUGGING_FACE = CheckpointSource(
    HUGGING_FACE_TITLE,
    "UPerNet on BEiT",
    "beit.encoder.layer.0.lambda_1 and decode_head....",
    lambda checkpoint: _recognises(checkpoint, HUGGING_FACE),
    _read_hugging_face,
    RECIPE,
)
BEIT_MMSEGMENTATION = CheckpointSource(
    MMSEG_TITLE,
    "UPerNet on BEiT",
    "backbone.layers.0.attn.relative_position_bias_table",
    lambda checkpoint: _recognises(checkpoint, MMSEGMENTATION),
    _read_mmsegmentation,
    RECIPE,
)
