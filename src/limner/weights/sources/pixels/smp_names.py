r"""Names of the tensors of segmentation-models-pytorch 0.3 to 0.6, one table per class.

Checked against its decoders; `tests/weights/` compares the scores.
"""

from limner.weights.renaming import Naming, Rule

TITLE = "segmentation-models-pytorch"

_ENCODER: Rule = (r"^encoder\.", "backbone.")
_HEAD: Rule = (r"^segmentation_head\.0\.", "head.conv.")


def _pair(theirs: str, ours: str) -> tuple[Rule, Rule]:
    """Return the rules for a convolution and its normalisation, which they keep in a list."""
    return (rf"^{theirs}\.0\.", f"{ours}.conv."), (rf"^{theirs}\.1\.", f"{ours}.norm.")


_SCSE: tuple[Rule, ...] = (
    (r"^(decoder\..*\.attention\d)\.attention\.cSE\.1\.", r"\1.squeeze."),
    (r"^(decoder\..*\.attention\d)\.attention\.cSE\.3\.", r"\1.excite."),
    (r"^(decoder\..*\.attention\d)\.attention\.sSE\.0\.", r"\1.pixels."),
)

_ATROUS: tuple[Rule, ...] = (
    (r"^decoder\.aspp\.convs\.4\.1\.", "context.0.image_branch.conv."),
    (r"^decoder\.aspp\.convs\.4\.2\.", "context.0.image_branch.norm."),
    *_pair(r"decoder\.aspp\.convs\.(\d)", r"context.0.branches.\1"),
    *_pair(r"decoder\.aspp\.project", "context.0.projection"),
)

_SEPARABLE: tuple[Rule, ...] = (
    (r"^decoder\.aspp\.convs\.([1-3])\.0\.0\.", r"context.0.branches.\1.depthwise.conv."),
    (r"^decoder\.aspp\.convs\.([1-3])\.0\.1\.", r"context.0.branches.\1.pointwise.conv."),
    (r"^decoder\.aspp\.convs\.([1-3])\.1\.", r"context.0.branches.\1.pointwise.norm."),
)

_RULES: dict[str, tuple[Rule, ...]] = {
    "Unet": (
        *_SCSE,
        *_pair(r"decoder\.blocks\.(\d)\.(conv\d)", r"decoder.\1.\2"),
        (r"^decoder\.blocks\.", "decoder."),
    ),
    "UnetPlusPlus": (
        *_SCSE,
        *_pair(r"decoder\.blocks\.(x_\d_\d)\.(conv\d)", r"decoder.\1.\2"),
        (r"^decoder\.blocks\.", "decoder."),
    ),
    "FPN": (
        (r"^decoder\.p5\.", "laterals.3."),
        (r"^decoder\.p4\.skip_conv\.", "laterals.2."),
        (r"^decoder\.p3\.skip_conv\.", "laterals.1."),
        (r"^decoder\.p2\.skip_conv\.", "laterals.0."),
        *(
            rule
            for index in range(4)
            for rule in _pair(
                rf"decoder\.seg_blocks\.{index}\.block\.(\d)\.block", rf"branches.{3 - index}.\1"
            )
        ),
    ),
    "PSPNet": (
        *_pair(r"decoder\.psp\.blocks\.(\d)\.pool\.1", r"branches.\1"),
        *_pair(r"decoder\.conv", "fusion"),
    ),
    "DeepLabV3": (
        (r"^decoder\.0\.", "decoder.aspp."),  # up to version 0.3
        (r"^decoder\.1\.", "decoder.conv."),
        (r"^decoder\.2\.", "decoder.bn."),
        *_ATROUS,
        (r"^decoder\.conv\.", "context.1.conv."),
        (r"^decoder\.bn\.", "context.1.norm."),
    ),
    "DeepLabV3Plus": (
        (r"^decoder\.aspp\.1\.0\.", "context.1.depthwise.conv."),
        (r"^decoder\.aspp\.1\.1\.", "context.1.pointwise.conv."),
        (r"^decoder\.aspp\.2\.", "context.1.pointwise.norm."),
        (r"^decoder\.aspp\.0\.", "decoder.aspp."),
        *_SEPARABLE,
        *_ATROUS,
        *_pair(r"decoder\.block1", "low_level"),
        (r"^decoder\.block2\.0\.0\.", "decoder.0.depthwise.conv."),
        (r"^decoder\.block2\.0\.1\.", "decoder.0.pointwise.conv."),
        (r"^decoder\.block2\.1\.", "decoder.0.pointwise.norm."),
    ),
    "PAN": (
        (r"^decoder\.fpa\.branch1\.1\.", "context.image_branch."),
        (r"^decoder\.fpa\.mid\.0\.", "context.middle."),
        (r"^decoder\.fpa\.down([12])\.1\.", r"context.down\1."),
        (r"^decoder\.fpa\.down3\.1\.", "context.down3.0."),
        (r"^decoder\.fpa\.down3\.2\.", "context.down3.1."),
        (r"^decoder\.fpa\.conv([12])\.", r"context.side\1."),
        *((rf"^decoder\.gau{3 - step}\.conv1\.1\.", f"decoder.{step}.gate.") for step in range(3)),
        *((rf"^decoder\.gau{3 - step}\.conv2\.", f"decoder.{step}.conv.") for step in range(3)),
        (r"^((?:context|decoder)\..*)\.bn\.", r"\1.norm."),
    ),
    "Linknet": (
        *_pair(r"decoder\.blocks\.(\d)\.block\.0", r"decoder.\1.0"),
        *_pair(r"decoder\.blocks\.(\d)\.block\.2", r"decoder.\1.2"),
        (r"^decoder\.blocks\.(\d)\.block\.1\.", r"decoder.\1.1."),
    ),
    "MAnet": (
        (r"^decoder\.center\.top_conv\.", "context.key."),
        (r"^decoder\.center\.center_conv\.", "context.query."),
        (r"^decoder\.center\.bottom_conv\.", "context.value."),
        (r"^decoder\.center\.out_conv\.", "context.out."),
        *_pair(r"decoder\.blocks\.(\d)\.hl_conv\.(\d)", r"decoder.\1.narrow.\2"),
        (r"^decoder\.blocks\.(\d)\.SE_ll\.", r"decoder.\1.skip_gate."),
        (r"^decoder\.blocks\.(\d)\.SE_hl\.", r"decoder.\1.coarse_gate."),
        *_pair(r"decoder\.blocks\.(\d)\.(conv\d)", r"decoder.\1.\2"),
    ),
    "UPerNet": (
        (r"^decoder\.feature_norms\.", "norms."),
        *_pair(r"decoder\.psp\.blocks\.(\d)\.1", r"decoder.pyramid.branches.\1"),
        *_pair(r"decoder\.psp\.out_conv", "decoder.pyramid.fusion"),
        *(
            rule
            for step in range(3)
            for rule in (
                *_pair(
                    rf"decoder\.fpn_lateral_blocks\.{step}\.conv_norm_relu", f"decoder.laterals.{2 - step}"
                ),
                *_pair(rf"decoder\.fpn_conv_blocks\.{step}", f"decoder.smoothing.{2 - step}"),
            )
        ),
        *_pair(r"decoder\.fusion_block", "decoder.fusion"),
    ),
    "Segformer": (
        *(
            (rf"^decoder\.mlp_stage\.{step}\.linear\.", f"decoder.projections.{3 - step}.")
            for step in range(4)
        ),
        *_pair(r"decoder\.fuse_stage", "decoder.fusion"),
    ),
}

SIGNS = {
    "UnetPlusPlus": "decoder.blocks.x_0_0.conv1.0.weight",
    "MAnet": "decoder.center.top_conv.weight",
    "Linknet": "decoder.blocks.0.block.0.0.weight",
    "Unet": "decoder.blocks.0.conv1.0.weight",
    "FPN": "decoder.p5.weight",
    "PSPNet": "decoder.psp.blocks.0.pool.1.0.weight",
    "DeepLabV3Plus": "decoder.block1.0.weight",
    "DeepLabV3": "decoder.aspp.convs.0.0.weight",
    "PAN": "decoder.fpa.mid.0.conv.weight",
    "UPerNet": "decoder.fpn_conv_blocks.0.0.weight",
    "Segformer": "decoder.mlp_stage.0.linear.weight",
    "DPT": "decoder.projection.0.weight",
}
"""Class -> a tensor that only its checkpoints have; in the order in which they are looked for."""

OLD_DEEPLABV3 = "decoder.0.convs.0.0.weight"
"""The same for DeepLabV3 up to version 0.3."""


def smp_naming(kind: str, *, wrapped: bool) -> Naming:
    """Return the names of a class of the library.

    Args:
        kind: Name of the class.
        wrapped: Whether limner builds the encoder as a model of timm, whose names have a prefix.
    """
    encoder = (r"^encoder\.(?:model\.)?", "backbone.model.") if wrapped else _ENCODER
    return Naming(
        title=TITLE,
        sign=r"^segmentation_head\.0\.weight$",
        rules=(encoder, _HEAD, *_RULES[kind]),
        unused=r"^classification_head\.",
        why_unused="classifies whole images",
    )
