r"""Names of the tensors of Hugging Face `transformers` 4 and 5, for networks that score pixels.

Version 5 has other names in memory and saves mostly those of version 4; both are known.
"""

from limner.weights.renaming import Naming, Rule
from limner.weights.sources.facts.transformers_backbones import (
    HUGGING_FACE_BACKBONE,
    HUGGING_FACE_CONVNEXT_BLOCK,
    QUERY_KEY_VALUE,
    TITLE,
)
from limner.weights.sources.pixels.mmseg_names import UPER_HEAD

_STAGES: tuple[Rule, ...] = tuple(
    rule
    for stage in range(4)
    for rule in (
        (rf"^segformer\.encoder\.patch_embeddings\.{stage}\.", f"backbone.patch_embed{stage + 1}."),
        (rf"^segformer\.encoder\.block\.{stage}\.", f"backbone.block{stage + 1}."),
        (rf"^segformer\.encoder\.layer_norm\.{stage}\.", f"backbone.norm{stage + 1}."),
        (rf"^segformer\.stages\.{stage}\.patch_embeddings\.", f"backbone.patch_embed{stage + 1}."),
        (rf"^segformer\.stages\.{stage}\.blocks\.", f"backbone.block{stage + 1}."),
        (rf"^segformer\.stages\.{stage}\.layer_norm\.", f"backbone.norm{stage + 1}."),
    )
)

SEGFORMER = Naming(
    title=TITLE,
    sign=r"^segformer\.(encoder\.patch_embeddings|stages)\.0\.",
    pieces=2,
    rules=(
        *_STAGES,
        (r"^(backbone\.patch_embed\d)\.layer_norm\.", r"\1.norm."),
        (r"\.layer_norm_1\.|\.layernorm_before\.", ".norm1."),
        (r"\.layer_norm_2\.|\.layernorm_after\.", ".norm2."),
        (r"\.attention\.(?:self\.query|q_proj)\.", ".attn.q."),
        (r"\.attention\.(?:self\.key|k_proj)\.(weight|bias)$", r".attn.kv.\1@0"),
        (r"\.attention\.(?:self\.value|v_proj)\.(weight|bias)$", r".attn.kv.\1@1"),
        (r"\.attention\.(?:self\.sr|sequence_reduction\.sequence_reduction)\.", ".attn.sr."),
        (r"\.attention\.(?:self|sequence_reduction)\.layer_norm\.", ".attn.norm."),
        (r"\.attention\.(?:output\.dense|o_proj)\.", ".attn.proj."),
        (r"\.mlp\.dense([12])\.", r".mlp.fc\1."),
        (r"^decode_head\.(?:linear_c|linear_projections)\.(\d)\.proj\.", r"decoder.projections.\1."),
        (r"^decode_head\.linear_fuse\.", "decoder.fusion.conv."),
        (r"^decode_head\.batch_norm\.", "decoder.fusion.norm."),
        (r"^decode_head\.classifier\.", "head.conv."),
    ),
)

_CONVNEXT: tuple[Rule, ...] = (
    (r"^backbone\.embeddings\.patch_embeddings\.(weight|bias)$", r"backbone.model.stem_0.\1"),
    (r"^backbone\.embeddings\.layernorm\.", "backbone.model.stem_1."),
    (
        r"^backbone\.(?:encoder\.)?stages\.(\d)\.layers\.(\d+)\.(?=dwconv|layernorm|pwconv|layer_scale)",
        r"backbone.model.stages_\1.blocks.\2.",
    ),
    (r"^backbone\.(?:encoder\.)?stages\.(\d)\.downsampling_layer\.", r"backbone.model.stages_\1.downsample."),
    *HUGGING_FACE_CONVNEXT_BLOCK,
)

UPERNET = Naming(
    title=TITLE,
    sign=r"^decode_head\.fpn_bottleneck\.batch_norm\.",
    unused=r"\.relative_position_index$|^backbone\.(swin\.)?layernorm\.",
    why_unused="a norm that prediction never uses, or limner computes it",
    rules=(
        (r"^backbone\.(?:swin|convnext)\.", "backbone."),
        *_CONVNEXT,
        *QUERY_KEY_VALUE,
        *HUGGING_FACE_BACKBONE,
        *UPER_HEAD,
        (r"^decode_head\.classifier\.", "head.conv."),
        (r"^auxiliary_head\.classifier\.", "auxiliary_head.classifier.conv."),
        (r"\.batch_norm\.", ".norm."),
    ),
)
