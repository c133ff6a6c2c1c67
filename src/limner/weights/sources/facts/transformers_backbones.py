r"""Names of the tensors of backbones and attentions of Hugging Face `transformers` 4 and 5.

Version 5 has other names in memory and saves mostly those of version 4; both are known.
"""

from limner.weights.renaming import Rule

TITLE = "Hugging Face transformers"

QUERY_KEY_VALUE: tuple[Rule, ...] = tuple(
    rule
    for place, letter, word in ((0, "q", "query"), (1, "k", "key"), (2, "v", "value"))
    for rule in (
        (rf"\.self_attn\.{letter}_proj\.(weight|bias)$", rf".self_attn.in_proj_\1@{place}"),
        (rf"\.attention\.(?:self\.{word}|{letter}_proj)\.(weight|bias)$", rf".attn.qkv.\1@{place}"),
    )
)

MERGED_PATCHES: tuple[Rule, ...] = tuple(
    (rf"^backbone\.layers\.{stage}\.downsample\.", f"backbone.layers!{stage + 1}.downsample.")
    for stage in range(3)
)
"""Swin's patches, which others merge at the end of a stage, limner at the start of the next."""

HUGGING_FACE_CONVNEXT_BLOCK: tuple[Rule, ...] = (
    (r"\.dwconv\.", ".conv_dw."),
    (r"\.layernorm\.", ".norm."),
    (r"\.pwconv([12])\.", r".mlp.fc\1."),
    (r"\.layer_scale_parameter$", ".gamma"),
)
"""Parts of a block of ConvNeXt."""

HUGGING_FACE_BACKBONE: tuple[Rule, ...] = (
    # Swin
    (r"^backbone\.hidden_states_norms\.stage1\.", "norms.0."),
    (r"^backbone\.hidden_states_norms\.stage2\.", "norms.1."),
    (r"^backbone\.hidden_states_norms\.stage3\.", "norms.2."),
    (r"^backbone\.hidden_states_norms\.stage4\.", "norms.3."),
    (r"^backbone\.embeddings\.patch_embeddings\.projection\.", "backbone.patch_embed.proj."),
    (r"^backbone\.embeddings\.norm\.", "backbone.patch_embed.norm."),
    (r"^backbone\.encoder\.layers\.", "backbone.layers."),
    *MERGED_PATCHES,
    (r"^backbone\.layers!", "backbone.layers."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (
        r"\.attention\.(?:self|relative_position_bias)\.relative_position_bias_table$",
        ".attn.relative_position_bias_table",
    ),
    (r"\.attention\.(?:output\.dense|o_proj)\.", ".attn.proj."),
    (r"^(backbone\..*)\.intermediate\.dense\.", r"\1.mlp.fc1."),
    (r"^(backbone\..*)\.output\.dense\.", r"\1.mlp.fc2."),
    # ResNet
    (r"^backbone\.embedder\.embedder\.convolution\.", "backbone.conv1."),
    (r"^backbone\.embedder\.embedder\.normalization\.", "backbone.bn1."),
    (r"^backbone\.encoder\.stages\.0\.layers\.", "backbone.layer1."),
    (r"^backbone\.encoder\.stages\.1\.layers\.", "backbone.layer2."),
    (r"^backbone\.encoder\.stages\.2\.layers\.", "backbone.layer3."),
    (r"^backbone\.encoder\.stages\.3\.layers\.", "backbone.layer4."),
    (r"^(backbone\.layer.*)\.shortcut\.convolution\.", r"\1.downsample.0."),
    (r"^(backbone\.layer.*)\.shortcut\.normalization\.", r"\1.downsample.1."),
    (r"^(backbone\.layer\d\.\d+)\.layer\.0\.convolution\.", r"\1.conv1."),
    (r"^(backbone\.layer\d\.\d+)\.layer\.0\.normalization\.", r"\1.bn1."),
    (r"^(backbone\.layer\d\.\d+)\.layer\.1\.convolution\.", r"\1.conv2."),
    (r"^(backbone\.layer\d\.\d+)\.layer\.1\.normalization\.", r"\1.bn2."),
    (r"^(backbone\.layer\d\.\d+)\.layer\.2\.convolution\.", r"\1.conv3."),
    (r"^(backbone\.layer\d\.\d+)\.layer\.2\.normalization\.", r"\1.bn3."),
)
