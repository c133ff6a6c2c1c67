r"""Names of the tensors of mmsegmentation 0.x and 1.x, by head and by backbone."""

from limner.weights.renaming import Naming, Rule
from limner.weights.sources.facts.openmmlab_backbones import BACKBONES

TITLE = "mmsegmentation"

_ATTENTION: tuple[Rule, ...] = (
    (r"\.key_project\.", ".key."),
    (r"\.query_project\.", ".query."),
    (r"\.value_project\.", ".value."),
    (r"\.out_project\.", ".out."),
    (r"\.gamma\.scale$", ".gamma"),
)

UPER_HEAD: tuple[Rule, ...] = (
    (r"^decode_head\.psp_modules\.(\d)\.1\.", r"decoder.pyramid.branches.\1."),
    (r"^decode_head\.bottleneck\.", "decoder.pyramid.fusion."),
    (r"^decode_head\.lateral_convs\.", "decoder.laterals."),
    (r"^decode_head\.fpn_convs\.", "decoder.smoothing."),
    (r"^decode_head\.fpn_bottleneck\.", "decoder.fusion."),
)
"""UPerNet without its classifier, as Hugging Face `transformers` names it too."""

_JOINED: Rule = (r"^decode_head\.conv_cat\.", "context.fusion.")
_HEADS = (
    (r"^decode_head\.conv_seg\.", "head.conv."),
    (r"^(auxiliary_head(?:\.\d+)?)\.conv_seg\.", r"\1.classifier.conv."),
    (r"^((?!backbone).*)\.(?:bn|gn)\.", r"\1.norm."),
)


def _branches(letter: str, ours: str) -> tuple[Rule, ...]:
    return (
        (rf"^decode_head\.{letter}am_in_conv\.", f"{ours}.0."),
        (rf"^decode_head\.{letter}am_out_conv\.", f"{ours}.2."),
        (rf"^decode_head\.{letter}am\.", f"{ours}.1."),
        (rf"^decode_head\.{letter}am_conv_seg\.", f"{ours}_head.conv."),
    )


HEADS: dict[str, tuple[str, str, tuple[Rule, ...]]] = {
    "UPerHead": (
        "decode_head.fpn_bottleneck.conv.weight",
        "upernet",
        UPER_HEAD,
    ),
    "PSPHead": (
        "decode_head.psp_modules.0.1.conv.weight",
        "pspnet",
        (
            (r"^decode_head\.psp_modules\.(\d)\.1\.", r"context.branches.\1."),
            (r"^decode_head\.bottleneck\.", "context.fusion."),
        ),
    ),
    "DepthwiseSeparableASPPHead": (
        "decode_head.sep_bottleneck.0.depthwise_conv.conv.weight",
        "deeplabv3plus",
        (
            (r"^decode_head\.image_pool\.1\.", "context.image_branch."),
            (r"^decode_head\.aspp_modules\.", "context.branches."),
            (r"^decode_head\.bottleneck\.", "context.projection."),
            (r"^decode_head\.c1_bottleneck\.", "low_level."),
            (r"^decode_head\.sep_bottleneck\.", "decoder."),
            (r"\.(depthwise|pointwise)_conv\.", r".\1."),
        ),
    ),
    "ASPPHead": (
        "decode_head.aspp_modules.0.conv.weight",
        "deeplabv3",
        (
            (r"^decode_head\.image_pool\.1\.", "context.0.image_branch."),
            (r"^decode_head\.aspp_modules\.", "context.0.branches."),
            (r"^decode_head\.bottleneck\.", "context.0.projection."),
        ),
    ),
    "SegformerHead": (
        "decode_head.fusion_conv.conv.weight",
        "segformer",
        (
            (r"^decode_head\.convs\.(\d)\.", r"decoder.projections.\1."),
            (r"^decode_head\.fusion_conv\.", "decoder.fusion."),
        ),
    ),
    "FPNHead": (
        "decode_head.scale_heads.0.0.conv.weight",
        "semantic-fpn",
        (
            (r"^neck\.lateral_convs\.(\d)\.conv\.", r"laterals.\1."),
            (r"^neck\.fpn_convs\.(\d)\.conv\.", r"smoothing.\1."),
            # Their upsampling has a place in the list.
            *((rf"^decode_head\.scale_heads\.(\d)\.{2 * i}\.", rf"branches.\1.{i}.") for i in range(3)),
        ),
    ),
    "CCHead": (
        "decode_head.cca.query_conv.weight",
        "ccnet",
        (
            _JOINED,
            (r"^decode_head\.convs\.0\.", "context.module.0."),
            (r"^decode_head\.convs\.1\.", "context.module.2."),
            (r"^decode_head\.cca\.(\w+)_conv\.", r"context.module.1.\1."),
            (r"^decode_head\.cca\.", "context.module.1."),
            *_ATTENTION,
        ),
    ),
    "DAHead": (
        "decode_head.pam_in_conv.conv.weight",
        "danet",
        (*_branches("p", "position"), *_branches("c", "channel"), *_ATTENTION),
    ),
    "ANNHead": (
        "decode_head.fusion.stages.0.value_project.weight",
        "ann",
        (
            (r"^decode_head\.fusion\.bottleneck\.", "fusion_bottleneck."),
            (r"^decode_head\.fusion\.stages\.0\.", "fusion."),
            (r"^decode_head\.context\.bottleneck\.", "bottleneck."),
            (r"^decode_head\.context\.stages\.0\.", "attention."),
            (r"^decode_head\.bottleneck\.", "context."),
            *_ATTENTION,
        ),
    ),
    "EMAHead": (
        "decode_head.ema_module.bases",
        "emanet",
        (
            _JOINED,
            (r"^decode_head\.ema_in_conv\.", "context.module.0."),
            (r"^decode_head\.ema_mid_conv\.conv\.", "context.module.1.project."),
            (r"^decode_head\.ema_module\.bases", "context.module.1.bases"),
            (r"^decode_head\.ema_out_conv\.", "context.module.1.restore."),
            (r"^decode_head\.bottleneck\.", "context.module.2."),
        ),
    ),
    "LRASPPHead": (
        "decode_head.conv_up_input.weight",
        "lraspp",
        (
            (r"^decode_head\.aspp_conv\.", "context."),
            (r"^decode_head\.image_pool\.1\.conv\.", "gate."),
            (r"^decode_head\.conv_up_input\.", "fusion.mix."),
            (r"^decode_head\.convs\.conv(\d)\.", r"fusion.fine.\1."),
            (r"^decode_head\.conv_ups\.conv_up(\d)\.", r"fusion.joined.\1."),
        ),
    ),
    "OCRHead": (
        "decode_head.1.object_context_block.bottleneck.conv.weight",
        "ocrnet",
        (
            (r"^decode_head\.0\.convs\.0\.", "coarse."),
            (r"^decode_head\.0\.conv_seg\.", "regions.conv."),
            (r"^decode_head\.1\.conv_seg\.", "head.conv."),
            (r"^decode_head\.1\.bottleneck\.", "context."),
            (r"^decode_head\.1\.object_context_block\.bottleneck\.", "attention.fusion."),
            (r"^decode_head\.1\.object_context_block\.(query|key|value|out)_project\.", r"attention.\1."),
        ),
    ),
    "FCNHead": (
        "decode_head.convs.0.conv.weight",
        "fcn",
        (_JOINED, (r"^decode_head\.convs\.", "context.module.")),
    ),
}
"""Head -> a tensor that it has, limner's network, and its rules; tried in this order."""

UNUSED = r"\.relative_position_index$|\.attn_mask$|^data_preprocessor\.|^(?:loss_|criterion)"


def mmseg_naming(head: str, backbone: str) -> Naming:
    """Return the names of a network with a head of `HEADS` and a backbone of `BACKBONES`."""
    return Naming(
        title=TITLE,
        sign=r"^decode_head\.",
        rules=(*BACKBONES[backbone][1], *HEADS[head][2], *_HEADS),
        unused=UNUSED,
        why_unused="limner computes it, or prediction does not need it",
    )
