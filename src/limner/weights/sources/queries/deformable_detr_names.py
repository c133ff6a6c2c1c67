r"""Names of the tensors of Deformable DETR: of its authors, of mmdetection 2 and 3, of `transformers`."""

from limner.weights.renaming import Naming, Rule
from limner.weights.sources.facts.transformers_backbones import HUGGING_FACE_BACKBONE, QUERY_KEY_VALUE
from limner.weights.sources.facts.transformers_backbones import TITLE as TRANSFORMERS_TITLE
from limner.weights.sources.queries.mmdet_names import LAYERS, mmdet_queries
from limner.weights.sources.queries.mmdet_names import TITLE as MMDET_TITLE

AUTHORS_TITLE = "the authors' code (fundamentalvision/Deformable-DETR)"

_STARTS: tuple[Rule, ...] = (
    (r"^enc_output\.", "decoder.proposal_output."),
    (r"^enc_output_norm\.", "decoder.proposal_norm."),
    (r"^pos_trans\.", "decoder.query_output."),
    (r"^pos_trans_norm\.", "decoder.query_norm."),
    (r"^reference_points\.", "decoder.reference_points."),
)

_PROJECTIONS: tuple[Rule, ...] = (
    (r"^input_proj\.(\d)\.0\.", r"input_proj.\1.conv."),
    (r"^input_proj\.(\d)\.1\.", r"input_proj.\1.norm."),
)

_HEADS: tuple[Rule, ...] = (
    (r"^(?:decoder\.)?class_embed\.", "decoder.classifiers."),
    (r"^(?:decoder\.)?bbox_embed\.(\d+)\.layers\.2\.", r"decoder.regressors.\1.last."),
    (r"^(?:decoder\.)?bbox_embed\.(\d+)\.layers\.", r"decoder.regressors.\1.hidden."),
)

HUGGING_FACE = Naming(
    title=TRANSFORMERS_TITLE,
    sign=r"^(model\.)?encoder\.layers\.0\.self_attn\.sampling_offsets\.",
    rules=(
        (r"^model\.", ""),  # missing if all names begin so
        (r"^backbone\.(?:conv_encoder\.)?(?:model\.|_backbone\.)?", "backbone."),
        *QUERY_KEY_VALUE,
        *HUGGING_FACE_BACKBONE,
        *_PROJECTIONS,
        (r"^encoder\.layers\.(\d+)\.self_attn_layer_norm\.", r"encoder.\1.norm1."),
        (r"^encoder\.layers\.", "encoder."),
        (r"^(decoder\.layers\.\d+)\.self_attn_layer_norm\.", r"\1.self_norm."),
        (r"^(decoder\.layers\.\d+)\.encoder_attn_layer_norm\.", r"\1.cross_norm."),
        (r"^(decoder\.layers\.\d+)\.encoder_attn\.", r"\1.cross_attn."),
        (r"^((?:en|de)coder\..*)\.(?:mlp\.)?fc([12])\.", r"\1.feedforward.linear\2."),
        (r"^((?:en|de)coder\..*)\.final_layer_norm\.", r"\1.feedforward.norm."),
        (r"\.self_attn\.o_proj\.", ".self_attn.out_proj."),
        (r"^query_position_embeddings\.", "decoder.query_embed."),
        *_STARTS,
        *_HEADS,
    ),
)

AUTHORS = Naming(
    title=AUTHORS_TITLE,
    sign=r"^transformer\.encoder\.layers\.0\.self_attn\.sampling_offsets\.",
    rules=(
        (r"^backbone\.0\.body\.", "backbone."),
        (r"^transformer\.", ""),
        *_PROJECTIONS,
        (r"^encoder\.layers\.(\d+)\.norm2\.", r"encoder.\1.feedforward.norm."),
        (r"^encoder\.layers\.", "encoder."),
        (r"^(decoder\.layers\.\d+)\.norm1\.", r"\1.cross_norm."),
        (r"^(decoder\.layers\.\d+)\.norm2\.", r"\1.self_norm."),
        (r"^(decoder\.layers\.\d+)\.norm3\.", r"\1.feedforward.norm."),
        (r"^((?:en|de)coder\..*)\.linear([12])\.", r"\1.feedforward.linear\2."),
        (r"^query_embed\.", "decoder.query_embed."),
        *_STARTS,
        *_HEADS,
    ),
)


def mmdet_naming(num_maps: int) -> Naming:
    """Return mmdetection's names, versions 2 and 3; `num_maps` is how many maps of the backbone it uses."""
    return Naming(
        title=MMDET_TITLE,
        sign=r"^bbox_head\.cls_branches\.",
        unused=r"^data_preprocessor\.",
        rules=(
            (r"^neck\.convs\.(\d)\.", r"input_proj.\1."),
            *((rf"^neck\.extra_convs\.{i}\.", f"input_proj.{num_maps + i}.") for i in range(4)),
            (r"^(input_proj\.\d)\.gn\.", r"\1.norm."),
            (r"^bbox_head\.transformer\.", ""),
            (r"^bbox_head\.query_embedding\.|^query_embedding\.", "decoder.query_embed."),
            (r"^level_embeds$", "level_embed"),
            (r"^memory_trans_fc\.", "enc_output."),
            (r"^memory_trans_norm\.", "enc_output_norm."),
            (r"^pos_trans_fc\.", "pos_trans."),
            (r"^reference_points_fc\.", "reference_points."),
            *_STARTS,
            (r"^encoder\.layers\.(\d+)\.norms\.0\.", r"encoder.\1.norm1."),
            (r"^encoder\.layers\.(\d+)\.norms\.1\.", r"encoder.\1.feedforward.norm."),
            (r"^encoder\.layers\.", "encoder."),
            (r"^(encoder\.\d+)\.attentions\.0\.", r"\1.self_attn."),
            *mmdet_queries("decoder", first="self"),
            *LAYERS,
            (r"^bbox_head\.cls_branches\.", "decoder.classifiers."),
            (r"^bbox_head\.reg_branches\.(\d+)\.0\.", r"decoder.regressors.\1.hidden.0."),
            (r"^bbox_head\.reg_branches\.(\d+)\.2\.", r"decoder.regressors.\1.hidden.1."),
            (r"^bbox_head\.reg_branches\.(\d+)\.4\.", r"decoder.regressors.\1.last."),
        ),
    )
