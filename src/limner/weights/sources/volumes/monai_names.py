"""Names of the tensors of MONAI's networks: of which network they are, and limner's names for them."""

from collections.abc import Mapping

from limner.weights.renaming import Naming, Rule

TITLE = "MONAI"

SIGNS: Mapping[str, str] = {
    "SwinUNETR": "swinViT.patch_embed.proj.weight",
    "UNETR": "vit.patch_embedding.position_embeddings",
    "DynUNet": "upsamples.0.transp_conv.conv.weight",
    "SegResNet": "convInit.conv.weight",
    "VNet": "in_tr.conv_block.conv.weight",
    "UNet": "1.submodule.0.conv.unit0.conv.weight",
}
"""Class -> a tensor that it has."""

UNET_SIGNS = ("1.submodule.0.conv.unit0.conv.weight", "1.submodule.0.conv.weight")
"""Tensors of a `UNet` of at least three levels, with residual units and without, after the prefix
``model.``."""

MOST = 16
"""Largest number of stages or blocks in the rules."""

_NOT_TOKENS = r"(?!transformer\.(?:blocks|stages)\.)"

_BLOCK: tuple[Rule, ...] = (
    (r"\.conv([12])\.conv\.", r".conv\1.conv."),
    (rf"^({_NOT_TOKENS}.*)\.norm([12])\.", r"\1.conv\2.norm."),
    (r"\.conv3\.conv\.", ".shortcut.conv."),
    (r"\.norm3\.", ".shortcut.norm."),
)
"""A residual block; one without residual is a sequence of two convolutions."""

_SEQUENCE: tuple[Rule, ...] = ((r"\.conv1\.(conv|norm)\.", r".0.\1."), (r"\.conv2\.(conv|norm)\.", r".1.\1."))

_UNUSED = r"(?!)"


def monai_naming(kind: str, *, residual: bool = True, stages: int = 0) -> Naming:
    """Return the names of a class of MONAI.

    Args:
        kind: The class.
        residual: Whether its blocks are residual.
        stages: Number of levels of a `UNet`, or of stages of a `DynUNet`.
    """
    blocks = _BLOCK if residual else (*_BLOCK, *_SEQUENCE)
    rules, unused, why = {
        "SwinUNETR": (_swinunetr() + blocks, r"relative_position_index$", "follows from the window's size"),
        "UNETR": (
            _unetr() + blocks,
            r"norm_cross_attn\.|\.cross_attn\.",
            "of an attention to another input, which is not used",
        ),
        "DynUNet": (_dynunet(stages, residual=residual), r"^skip_layers\.", "a second name of a tensor"),
        "SegResNet": (_segresnet(), r"^vae_", "of the autoencoder, which only training uses"),
        "VNet": (_vnet(), _UNUSED, ""),
        "UNet": (_unet(stages, residual=residual), _UNUSED, ""),
    }[kind]
    return Naming(TITLE, SIGNS[kind], rules, unused=unused, why_unused=why)


def _swinunetr() -> tuple[Rule, ...]:
    stages = [(rf"^swinViT\.layers{s + 1}\.0\.", f"transformer.stages.{s}.") for s in range(4)]
    convs = [(rf"^swinViT\.layers{s + 1}c\.0\.layer\.", f"transformer.stage_convs.{s}.") for s in range(4)]
    refined = [(rf"^encoder{s + 2}\.layer\.", f"refine.{s}.") for s in range(3)]
    return (
        *stages,
        *convs,
        (r"^swinViT\.patch_embed\.proj\.", "transformer.patches."),
        (r"^swinViT\.patch_embed\.norm\.", "transformer.norm."),
        (r"\.downsample\.", ".merge."),
        (r"\.mlp\.linear([12])\.", r".mlp.fc\1."),
        (r"^encoder1\.layer\.", "stem."),
        (r"^encoder10\.layer\.", "refine.3."),
        *refined,
        *((rf"^decoder{5 - s}\.", f"decoder.{s}.") for s in range(5)),
        *_DECODER,
    )


_DECODER: tuple[Rule, ...] = (
    (r"\.transp_conv\.conv\.", ".up."),
    (r"\.conv_block\.", ".block."),
    (r"^out\.conv\.conv\.", "head.conv."),
)


def _unetr() -> tuple[Rule, ...]:
    towers: list[Rule] = []
    for tower in range(3):
        towers.append((rf"^encoder{tower + 2}\.transp_conv_init\.conv\.", f"towers.{tower}.0."))
        for step in range(2):
            start = rf"^encoder{tower + 2}\.blocks\.{step}\."
            towers.append((rf"{start}0\.conv\.", f"towers.{tower}.{1 + 2 * step}."))
            towers.append((rf"{start}1\.", f"towers.{tower}.{2 + 2 * step}."))
            towers.append((rf"{start}conv\.", f"towers.{tower}.{1 + step}."))
    return (
        (r"^vit\.patch_embedding\.patch_embeddings\.(?:1\.)?", "transformer.patches."),
        (r"^vit\.patch_embedding\.position_embeddings$", "transformer.positions"),
        (r"^vit\.blocks\.", "transformer.blocks."),
        (r"^vit\.norm\.", "transformer.norm."),
        (r"\.mlp\.linear([12])\.", r".mlp.fc\1."),
        (r"\.attn\.out_proj\.", ".attn.proj."),
        (r"^encoder1\.layer\.", "stem."),
        *towers,
        *((rf"^decoder{5 - s}\.", f"decoder.{s}.") for s in range(4)),
        *_DECODER,
    )


def _dynunet(stages: int, *, residual: bool) -> tuple[Rule, ...]:
    inside = (
        (r"^(encoder\..*)\.conv([12])\.conv\.", r"\1.conv\2.conv."),
        (r"^(encoder\..*)\.norm([12])\.", r"\1.conv\2.norm."),
        (r"^(encoder\..*)\.conv3\.conv\.", r"\1.shortcut.conv."),
        (r"^(encoder\..*)\.norm3\.", r"\1.shortcut.norm."),
    )
    plain = (
        () if residual else ((r"^(encoder\.\d+)\.conv1\.", r"\1.0."), (r"^(encoder\.\d+)\.conv2\.", r"\1.1."))
    )
    return (
        (r"^input_block\.", "encoder.0."),
        *((rf"^downsamples\.{step}\.", f"encoder.{step + 1}.") for step in range(stages - 2)),
        (r"^bottleneck\.", f"encoder.{stages - 1}."),
        *inside,
        *plain,
        (r"^upsamples\.(\d+)\.transp_conv\.conv\.", r"decoder.ups.\1."),
        (r"^upsamples\.(\d+)\.conv_block\.conv1\.conv\.", r"decoder.stages.\1.0.conv."),
        (r"^upsamples\.(\d+)\.conv_block\.conv2\.conv\.", r"decoder.stages.\1.1.conv."),
        (r"^upsamples\.(\d+)\.conv_block\.norm1\.", r"decoder.stages.\1.0.norm."),
        (r"^upsamples\.(\d+)\.conv_block\.norm2\.", r"decoder.stages.\1.1.norm."),
        (r"^output_block\.conv\.conv\.", "decoder.heads.0.conv."),
        *(
            (rf"^deep_supervision_heads\.{step}\.conv\.conv\.", f"decoder.heads.{step + 1}.conv.")
            for step in range(stages)
        ),
    )


def _segresnet() -> tuple[Rule, ...]:
    downs = [(rf"^down_layers\.{level}\.0\.conv\.", f"downs.{level - 1}.") for level in range(1, MOST)]
    blocks = [(rf"^down_layers\.(\d+)\.{place}\.", rf"encoder.\1.{place - 1}.") for place in range(1, MOST)]
    return (
        (r"^convInit\.conv\.", "stem."),
        *downs,
        *blocks,
        (r"^up_samples\.(\d+)\.0\.conv\.", r"ups.\1.0."),
        (r"^up_samples\.(\d+)\.1\.deconv\.", r"ups.\1.1."),
        (r"^up_layers\.", "decoder."),
        (r"\.conv([12])\.conv\.", r".conv\1."),
        (r"^conv_final\.0\.", "norm."),
        (r"^conv_final\.2\.conv\.", "head.conv."),
    )


def _vnet() -> tuple[Rule, ...]:
    return (
        (r"^in_tr\.conv_block\.", "stem."),
        (r"^in_tr\.act_function\.", "stem_act."),
        *((rf"^down_tr{32 * 2**level}\.", f"encoder.{level}.") for level in range(4)),
        *((rf"^up_tr{256 // 2**step}\.", f"decoder.{step}.") for step in range(4)),
        (r"^out_tr\.conv_block\.", "refine."),
        (r"^out_tr\.act_function1\.", "refine.act."),
        (r"^out_tr\.conv2\.", "head.conv."),
        (r"\.ops\.(\d+)\.conv_block\.", r".convs.\1."),
        (r"\.ops\.(\d+)\.act_function\.", r".convs.\1.act."),
        (r"^(stem|refine|.*\.convs\.\d+)\.adn\.N\.", r"\1.norm."),
        (r"\.down_conv\.", ".down."),
        (r"\.up_conv\.", ".up."),
        (r"\.bn1\.", ".norm."),
        (r"^encoder\.(\d)\.act_function1\.", r"encoder.\1.down_act."),
        (r"^decoder\.(\d)\.act_function1\.", r"decoder.\1.up_act."),
        (r"\.act_function2\.", ".act."),
    )


def _unet(levels: int, *, residual: bool) -> tuple[Rule, ...]:
    """Return the rules of nested levels: down, the next level, up; the innermost is the bottom alone."""
    rules: list[Rule] = []
    inner = r"1\.submodule\."
    for level in range(levels - 1):
        start = "^" + inner * level
        rules.append((rf"{start}0\.", f"encoder.{level}."))
        rules.append((rf"{start}2\.", f"decoder.{levels - 2 - level}."))
    rules.append(("^" + inner * (levels - 1), f"encoder.{levels - 1}."))
    after = {"conv": 0, "adn.N": 1, "adn.A": 3}
    if not residual:
        last = levels - 2
        rules.append((rf"^decoder\.{last}\.conv\.", f"decoder.{last}."))
        rules += [
            (rf"^(encoder|decoder)\.(\d+)\.{name.replace('.', chr(92) + '.')}\.", rf"\1.\2.{place}.")
            for name, place in after.items()
        ]
        return tuple(rules)
    for unit in range(MOST):
        rules += [
            (
                rf"^encoder\.(\d+)\.conv\.unit{unit}\.{name.replace('.', chr(92) + '.')}\.",
                rf"encoder.\1.branch.{4 * unit + place}.",
            )
            for name, place in after.items()
        ]
    rules.append((r"^encoder\.(\d+)\.residual\.", r"encoder.\1.shortcut."))
    for name, place in after.items():
        escaped = name.replace(".", r"\.")
        rules.append((rf"^decoder\.(\d+)\.0\.{escaped}\.", rf"decoder.\1.0.{place}."))
        rules.append((rf"^decoder\.(\d+)\.1\.conv\.unit0\.{escaped}\.", rf"decoder.\1.1.branch.{place}."))
    return tuple(rules)
