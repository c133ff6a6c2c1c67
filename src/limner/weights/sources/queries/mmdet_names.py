r"""Names that mmdetection's networks of queries share, versions 2 and 3, and those of its Mask2Formers."""

from limner.weights.renaming import Naming, Rule
from limner.weights.sources.facts.openmmlab_backbones import BACKBONES

TITLE = "mmdetection"

LAYERS: tuple[Rule, ...] = (
    (r"\.ffns?(?:\.0)?\.layers\.0\.0\.", ".feedforward.linear1."),
    (r"\.ffns?(?:\.0)?\.layers\.1\.", ".feedforward.linear2."),
    (r"\.(self|cross)_attn\.attn\.", r".\1_attn."),
)
"""The MLP of a layer, and its attention, which is inside a wrapper."""


def mmdet_queries(ours: str, *, first: str) -> tuple[Rule, ...]:
    """Return the rules of a decoder's layers; attentions and norms are numbered in their order.

    Args:
        ours: Beginning of the layers' names, followed by ``.layers.``.
        first: The attention that comes first, ``self`` or ``cross``.
    """
    order = ("self", "cross") if first == "self" else ("cross", "self")
    layer = rf"^({ours}\.layers\.\d+)"
    return (
        *((rf"{layer}\.attentions\.{place}\.", rf"\1.{kind}_attn.") for place, kind in enumerate(order)),
        *((rf"{layer}\.norms\.{place}\.", rf"\1.{kind}_norm.") for place, kind in enumerate(order)),
        (rf"{layer}\.norms\.2\.", r"\1.feedforward.norm."),
    )


_HEAD = r"^(?:panoptic|decode)_head\."
"""Its name in mmdetection, and in mmsegmentation, whose networks are mmdetection's."""

_SEGMENTS: tuple[Rule, ...] = (
    (rf"{_HEAD}pixel_decoder\.", "pixel_decoder."),
    (rf"{_HEAD}transformer_decoder\.post_norm\.", "query_decoder.last_norm."),
    (rf"{_HEAD}transformer_decoder\.", "query_decoder."),
    (rf"{_HEAD}query_embed\.weight$", "query_decoder.query_embed"),
    (rf"{_HEAD}cls_embed\.", "head.class_embed."),
    (rf"{_HEAD}mask_embed\.", "head.mask_embed."),
    (r"^(pixel_decoder\..*)\.gn\.", r"\1.norm."),
    (r"^pixel_decoder\.mask_feature\.", "pixel_decoder.mask_features."),
)

_MASK2FORMER: tuple[Rule, ...] = (
    (rf"{_HEAD}(query_feat|level_embed)\.weight$", r"query_decoder.\1"),
    (r"^head\.", "query_decoder.head."),
    (r"^query_decoder\.last_norm\.", "query_decoder.decoder_norm."),
    (r"^pixel_decoder\.input_convs\.", "pixel_decoder.input_proj."),
    (r"^pixel_decoder\.level_encoding\.weight$", "pixel_decoder.level_embed"),
    (r"^pixel_decoder\.lateral_convs\.0\.", "pixel_decoder.lateral."),
    (r"^pixel_decoder\.output_convs\.0\.", "pixel_decoder.smoothing."),
    (r"^pixel_decoder\.encoder\.layers\.", "pixel_decoder.layers."),
    (r"^(pixel_decoder\.layers\.\d+)\.attentions\.0\.", r"\1.self_attn."),
    (r"^(pixel_decoder\.layers\.\d+)\.norms\.0\.", r"\1.norm1."),
    (r"^(pixel_decoder\.layers\.\d+)\.norms\.1\.", r"\1.feedforward.norm."),
    *mmdet_queries("query_decoder", first="cross"),
)

_MASKFORMER: tuple[Rule, ...] = (
    (rf"{_HEAD}decoder_input_proj\.", "query_decoder.input_proj."),
    (r"^query_decoder\.last_norm\.", "query_decoder.norm."),
    (r"^pixel_decoder\.lateral_convs\.", "pixel_decoder.laterals."),
    (r"^pixel_decoder\.output_convs\.", "pixel_decoder.smoothing."),
    (r"^pixel_decoder\.(?:last_feat_conv|encoder_out_proj)\.", "pixel_decoder.smoothing.3."),
    (r"^pixel_decoder\.encoder_in_proj\.", "pixel_encoder.input_proj."),
    (r"^pixel_decoder\.encoder\.layers\.", "pixel_encoder.layers."),
    (r"^(pixel_encoder\.layers\.\d+)\.attentions\.0\.", r"\1.self_attn."),
    (r"^(pixel_encoder\.layers\.\d+)\.norms\.0\.", r"\1.norm."),
    (r"^(pixel_encoder\.layers\.\d+)\.norms\.1\.", r"\1.feedforward.norm."),
    *mmdet_queries("query_decoder", first="self"),
)


def segments_naming(backbone: str, *, is_mask2former: bool) -> Naming:
    """Return the names of a Mask2Former or MaskFormer on a backbone of `openmmlab_backbones.BACKBONES`."""
    return Naming(
        title=TITLE,
        sign=rf"{_HEAD}query_embed\.",
        unused=rf"\.relative_position_index$|^data_preprocessor\.|{_HEAD}(?:loss_|conv_seg\.)",
        why_unused="limner computes it, or prediction does not need it",
        rules=(
            *BACKBONES[backbone][1],
            *_SEGMENTS,
            *(_MASK2FORMER if is_mask2former else _MASKFORMER),
            *LAYERS,
        ),
    )
