r"""Names of the tensors of Mask2Former in other projects.

Hugging Face: `transformers` 4.27 to 5; version 5 saves Swin with the names of version 4, unlike those in
memory. Detectron2: the authors' code, facebookresearch/Mask2Former, with its ResNets and Swins.
"""

from limner.weights.renaming import Naming
from limner.weights.sources.facts.transformers_backbones import (
    HUGGING_FACE_BACKBONE,
    MERGED_PATCHES,
    QUERY_KEY_VALUE,
    TITLE,
)

HUGGING_FACE = Naming(
    title=TITLE,
    sign=r"^model\.transformer_module\.queries_features\.",
    unused=r"^criterion\.|\.relative_position_index$|^model\.pixel_level_module\.encoder\.(swin\.)?layernorm\.",
    rules=(
        (r"^model\.pixel_level_module\.decoder\.", "pixel_decoder."),
        (r"^model\.pixel_level_module\.encoder\.(?:swin\.|_backbone\.)?", "backbone."),
        (r"^model\.transformer_module\.decoder\.", "query_decoder."),
        (r"^model\.transformer_module\.queries_features\.weight$", "query_decoder.query_feat"),
        (r"^model\.transformer_module\.queries_embedder\.weight$", "query_decoder.query_embed"),
        (r"^model\.transformer_module\.level_embed\.weight$", "query_decoder.level_embed"),
        (r"^class_predictor\.", "query_decoder.head.class_embed."),
        *QUERY_KEY_VALUE,
        *HUGGING_FACE_BACKBONE,
        # Pixel decoder
        (r"^pixel_decoder\.input_projections\.(\d)\.0\.", r"pixel_decoder.input_proj.\1.conv."),
        (r"^pixel_decoder\.input_projections\.(\d)\.1\.", r"pixel_decoder.input_proj.\1.norm."),
        (r"^pixel_decoder\.adapter_1\.0\.", "pixel_decoder.lateral.conv."),
        (r"^pixel_decoder\.adapter_1\.1\.", "pixel_decoder.lateral.norm."),
        (r"^pixel_decoder\.layer_1\.0\.", "pixel_decoder.smoothing.conv."),
        (r"^pixel_decoder\.layer_1\.1\.", "pixel_decoder.smoothing.norm."),
        (r"^pixel_decoder\.mask_projection\.", "pixel_decoder.mask_features."),
        (r"^pixel_decoder\.encoder\.layers\.", "pixel_decoder.layers."),
        (r"^(pixel_decoder\.layers\.\d+)\.self_attn_layer_norm\.", r"\1.norm1."),
        # Query decoder
        (r"^(query_decoder\.layers\.\d+)\.self_attn_layer_norm\.", r"\1.self_norm."),
        (r"^(query_decoder\.layers\.\d+)\.cross_attn_layer_norm\.", r"\1.cross_norm."),
        (r"^query_decoder\.layernorm\.", "query_decoder.decoder_norm."),
        (r"^query_decoder\.mask_predictor\.mask_embedder\.0\.0\.", "query_decoder.head.mask_embed.0."),
        (r"^query_decoder\.mask_predictor\.mask_embedder\.1\.0\.", "query_decoder.head.mask_embed.2."),
        (r"^query_decoder\.mask_predictor\.mask_embedder\.2\.0\.", "query_decoder.head.mask_embed.4."),
        # Both decoders
        (r"^(\w+_decoder\.layers\.\d+)\.final_layer_norm\.", r"\1.feedforward.norm."),
        (r"^(\w+_decoder\.layers\.\d+)\.fc([12])\.", r"\1.feedforward.linear\2."),
    ),
)

DETECTRON2 = Naming(
    title="the authors' code (Detectron2)",
    sign=r"^(module\.)?sem_seg_head\.predictor\.(query_feat|static_query)\.",
    unused=r"^(module\.)?criterion\.|\.relative_position_index$|\.attn_mask$|^(module\.)?pixel_(mean|std)$",
    rules=(
        (r"^module\.", ""),
        # Files from before the second version of the code
        (r"^sem_seg_head\.(?!pixel_decoder\.|predictor\.)", "sem_seg_head.pixel_decoder."),
        (r"^sem_seg_head\.predictor\.static_query\.", "sem_seg_head.predictor.query_feat."),
        (r"^sem_seg_head\.pixel_decoder\.", "pixel_decoder."),
        (r"^sem_seg_head\.predictor\.", "query_decoder."),
        # ResNet
        (r"^backbone\.stem\.conv1\.norm\.", "backbone.bn1."),
        (r"^backbone\.stem\.conv1\.", "backbone.conv1."),
        (r"^backbone\.res2\.", "backbone.layer1."),
        (r"^backbone\.res3\.", "backbone.layer2."),
        (r"^backbone\.res4\.", "backbone.layer3."),
        (r"^backbone\.res5\.", "backbone.layer4."),
        (r"^(backbone\.layer\d\.\d+)\.conv(\d)\.norm\.", r"\1.bn\2."),
        (r"^(backbone\.layer\d\.\d+)\.shortcut\.norm\.", r"\1.downsample.1."),
        (r"^(backbone\.layer\d\.\d+)\.shortcut\.", r"\1.downsample.0."),
        # Swin
        (r"^backbone\.norm(\d)\.", r"norms.\1."),
        *MERGED_PATCHES,
        (r"^backbone\.layers!", "backbone.layers."),
        # Pixel decoder
        (r"^pixel_decoder\.input_proj\.(\d)\.0\.", r"pixel_decoder.input_proj.\1.conv."),
        (r"^pixel_decoder\.input_proj\.(\d)\.1\.", r"pixel_decoder.input_proj.\1.norm."),
        (r"^pixel_decoder\.adapter_1\.norm\.", "pixel_decoder.lateral.norm."),
        (r"^pixel_decoder\.adapter_1\.(weight|bias)$", r"pixel_decoder.lateral.conv.\1"),
        (r"^pixel_decoder\.layer_1\.norm\.", "pixel_decoder.smoothing.norm."),
        (r"^pixel_decoder\.layer_1\.(weight|bias)$", r"pixel_decoder.smoothing.conv.\1"),
        (r"^pixel_decoder\.transformer\.level_embed$", "pixel_decoder.level_embed"),
        (r"^pixel_decoder\.transformer\.encoder\.layers\.", "pixel_decoder.layers."),
        (r"^(pixel_decoder\.layers\.\d+)\.norm2\.", r"\1.feedforward.norm."),
        (r"^(pixel_decoder\.layers\.\d+)\.linear([12])\.", r"\1.feedforward.linear\2."),
        # Query decoder
        (
            r"^query_decoder\.transformer_cross_attention_layers\.(\d+)\.norm\.",
            r"query_decoder.layers.\1.cross_norm.",
        ),
        (
            r"^query_decoder\.transformer_cross_attention_layers\.(\d+)\.multihead_attn\.",
            r"query_decoder.layers.\1.cross_attn.",
        ),
        (
            r"^query_decoder\.transformer_self_attention_layers\.(\d+)\.norm\.",
            r"query_decoder.layers.\1.self_norm.",
        ),
        (
            r"^query_decoder\.transformer_self_attention_layers\.(\d+)\.self_attn\.",
            r"query_decoder.layers.\1.self_attn.",
        ),
        (r"^query_decoder\.transformer_ffn_layers\.(\d+)\.", r"query_decoder.layers.\1.feedforward."),
        (r"^query_decoder\.(query_feat|query_embed|level_embed)\.weight$", r"query_decoder.\1"),
        (r"^query_decoder\.class_embed\.", "query_decoder.head.class_embed."),
        (r"^query_decoder\.mask_embed\.layers\.0\.", "query_decoder.head.mask_embed.0."),
        (r"^query_decoder\.mask_embed\.layers\.1\.", "query_decoder.head.mask_embed.2."),
        (r"^query_decoder\.mask_embed\.layers\.2\.", "query_decoder.head.mask_embed.4."),
    ),
)
