r"""Names of the tensors of classifiers of images in other projects, as timm's names.

timm's names are those of limner's encoders too. The last layer is called ``classifier`` here, whatever it is
called there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from limner.networks.backbones.swin import SWINS
from limner.weights.renaming import Rule
from limner.weights.sources.facts.backbone_shapes import CONVNEXTS
from limner.weights.sources.facts.openmmlab_backbones import BACKBONES, CONVNEXT_BLOCK
from limner.weights.sources.facts.transformers_backbones import (
    HUGGING_FACE_BACKBONE,
    HUGGING_FACE_CONVNEXT_BLOCK,
    QUERY_KEY_VALUE,
)

TORCHVISION, TIMM = "torchvision", "timm"
MMPRETRAIN = "mmpretrain or mmclassification"
TRANSFORMERS = "Hugging Face transformers"

VITS = tuple(
    f"vit_{size}_patch{patch}_{side}"
    for size in ("base", "large", "small", "tiny", "huge")
    for patch in ((14,) if size == "huge" else (16, 32))
    for side in (224, 384)
    if not (size == "huge" and side == 384) and not (size == "tiny" and patch == 32)
)
RESNETS = ("resnext50_32x4d", "resnext101_32x8d", "resnext101_32x4d", "wide_resnet50_2", "wide_resnet101_2")
"""Those besides limner's own, which are recognised first."""
EFFICIENTNETS = tuple(f"efficientnet_b{size}" for size in range(8))


@dataclass(frozen=True)
class Family:
    """One architecture in one project.

    Attributes:
        project: Title of the project.
        architecture: Usual name.
        signs: Names that all its files have, and those of no other family.
        candidates: timm's names of its members, of which the shapes of the tensors choose one.
        rules: Their names -> timm's; None matches the tensors by their order.
        unused: Regular expression of names that prediction does not need.
        by_channel: Whether Swin's merged patches are stored by channel.
        wider_eps: Member -> how much larger the eps of its batch norms is there than in timm; of all members
            under the empty name.
    """

    project: str
    architecture: str
    signs: tuple[str, ...]
    candidates: tuple[str, ...]
    rules: tuple[Rule, ...] | None
    unused: str = r"(?!)"
    by_channel: bool = False
    wider_eps: Mapping[str, float] = field(default_factory=dict)


_POINTS = r"\.relative_position_index$|\.attn_mask$"

_VIT_TORCHVISION: tuple[Rule, ...] = (
    (r"^conv_proj\.", "patch_embed.proj."),
    (r"^class_token$", "cls_token"),
    (r"^encoder\.pos_embedding$", "pos_embed"),
    (r"^encoder\.ln\.", "norm."),
    (r"^encoder\.layers\.encoder_layer_", "blocks."),
    (r"\.ln_([12])\.", r".norm\1."),
    (r"\.self_attention\.in_proj_", ".attn.qkv."),
    (r"\.self_attention\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.(?:0|linear_1)\.", ".mlp.fc1."),
    (r"\.mlp\.(?:3|linear_2)\.", ".mlp.fc2."),
    (r"^heads\.head\.", "classifier."),
)
_SWIN_TORCHVISION: tuple[Rule, ...] = (
    (r"^features\.0\.0\.", "patch_embed.proj."),
    (r"^features\.0\.2\.", "patch_embed.norm."),
    *((rf"^features\.{2 * i + 1}\.(\d+)\.", rf"layers.{i}.blocks.\1.") for i in range(4)),
    *((rf"^features\.{2 * i}\.", f"layers.{i}.downsample.") for i in range(1, 4)),
    (r"\.mlp\.0\.", ".mlp.fc1."),
    (r"\.mlp\.3\.", ".mlp.fc2."),
    (r"^head\.", "classifier."),
)
_CONVNEXT_TORCHVISION: tuple[Rule, ...] = (
    (r"^features\.0\.", "stem."),
    *((rf"^features\.{2 * i + 1}\.(\d+)\.", rf"stages.{i}.blocks.\1.") for i in range(4)),
    *((rf"^features\.{2 * i}\.", f"stages.{i}.downsample.") for i in range(1, 4)),
    (r"\.block\.0\.", ".conv_dw."),
    (r"\.block\.2\.", ".norm."),
    (r"\.block\.3\.", ".mlp.fc1."),
    (r"\.block\.5\.", ".mlp.fc2."),
    (r"\.layer_scale$", ".gamma"),
    (r"^classifier\.0\.", "head.norm."),
    (r"^classifier\.2\.", "classifier."),
)

_BACKBONE: Rule = (r"^backbone\.", "")
_MM_HEAD: Rule = (r"^head\.(?:fc|layers\.head|layers)\.", "classifier.")
_RESNET_MM: tuple[Rule, ...] = (
    *((rf"^backbone\.stem\.{place}\.conv\.", f"conv1.{3 * place}.") for place in range(3)),
    *((rf"^backbone\.stem\.{place}\.bn\.", f"conv1.{3 * place + 1}.") for place in range(2)),
    (r"^backbone\.stem\.2\.bn\.", "bn1."),
    _BACKBONE,
    _MM_HEAD,
)
_VIT_MM: tuple[Rule, ...] = (
    (r"^backbone\.patch_embed\.projection\.", "patch_embed.proj."),
    (r"^backbone\.layers\.", "blocks."),
    (r"^backbone\.(?:ln|norm)1\.", "norm."),
    _BACKBONE,
    (r"\.ln([12])\.", r".norm\1."),
    (r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."),
    (r"\.ffn\.layers\.1\.", ".mlp.fc2."),
    _MM_HEAD,
)
_SWIN_MM: tuple[Rule, ...] = (
    *BACKBONES["SwinTransformer"][1],
    (r"^norms\.3\.", "norm."),
    _BACKBONE,
    _MM_HEAD,
)
_CONVNEXT_MM: tuple[Rule, ...] = (
    (r"^backbone\.downsample_layers\.0\.", "stem."),
    (r"^backbone\.downsample_layers\.(\d)\.", r"stages.\1.downsample."),
    (r"^backbone\.stages\.(\d)\.(\d+)\.", r"stages.\1.blocks.\2."),
    *CONVNEXT_BLOCK,
    (r"^backbone\.norm3\.", "head.norm."),
    _MM_HEAD,
)

_VIT_HUGGING_FACE: tuple[Rule, ...] = (
    (r"^vit\.embeddings\.cls_token$", "cls_token"),
    (r"^vit\.embeddings\.position_embeddings$", "pos_embed"),
    (r"^vit\.embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^vit\.layernorm\.", "norm."),
    (r"^vit\.(?:encoder\.layer|layers|encoder\.layers)\.", "blocks."),
    (r"\.attention\.attention\.(query|key|value)\.", r".attention.self.\1."),
    *QUERY_KEY_VALUE,
    (r"\.attention\.(?:output\.dense|o_proj)\.", ".attn.proj."),
    (r"\.(?:intermediate\.dense|mlp\.fc1)\.", ".mlp.fc1."),
    (r"\.(?:output\.dense|mlp\.fc2)\.", ".mlp.fc2."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
)
_ENCODER = (r"^(?:swin|resnet)\.", "backbone.")
_SWIN_HUGGING_FACE: tuple[Rule, ...] = (
    (r"^swin\.layernorm\.", "norm."),
    _ENCODER,
    *QUERY_KEY_VALUE,
    *HUGGING_FACE_BACKBONE,
    _BACKBONE,
)
_RESNET_HUGGING_FACE: tuple[Rule, ...] = (
    _ENCODER,
    *HUGGING_FACE_BACKBONE,
    _BACKBONE,
    (r"^classifier\.1\.", "classifier."),
)
_CONVNEXT_HUGGING_FACE: tuple[Rule, ...] = (
    (r"^convnext\.embeddings\.patch_embeddings\.", "stem.0."),
    (r"^convnext\.embeddings\.layernorm\.", "stem.1."),
    (r"^convnext\.(?:encoder\.)?stages\.(\d)\.layers\.", r"stages.\1.blocks."),
    (r"^convnext\.(?:encoder\.)?stages\.(\d)\.downsampling_layer\.", r"stages.\1.downsample."),
    *HUGGING_FACE_CONVNEXT_BLOCK,
    (r"^convnext\.norm\.", "head.norm."),
)

_NARROW_EPS, _WIDE_EPS = 1e-5, 1e-3
_WIDER = _WIDE_EPS - _NARROW_EPS
_MOBILENETV3 = ("mobilenetv3_large_100", "mobilenetv3_small_100")

FAMILIES: tuple[Family, ...] = (
    Family(
        TORCHVISION,
        "ResNet, ResNeXt",
        ("conv1.weight", "layer1.0.conv1.weight", "fc.weight"),
        RESNETS,
        ((r"^fc\.", "classifier."),),
    ),
    Family(TORCHVISION, "ViT", ("conv_proj.weight", "heads.head.weight"), VITS, _VIT_TORCHVISION),
    Family(
        TORCHVISION,
        "Swin",
        ("features.0.2.weight", "features.1.0.attn.relative_position_bias_table", "head.weight"),
        tuple(SWINS),
        _SWIN_TORCHVISION,
        unused=_POINTS,
    ),
    Family(
        TORCHVISION,
        "ConvNeXt",
        ("features.1.0.block.5.weight", "features.1.0.layer_scale", "classifier.2.weight"),
        tuple(CONVNEXTS),
        _CONVNEXT_TORCHVISION,
    ),
    Family(
        TORCHVISION,
        "MobileNetV2",
        ("features.1.conv.0.0.weight", "features.18.0.weight", "classifier.1.weight"),
        ("mobilenetv2_100",),
        None,
    ),
    Family(
        TORCHVISION,
        "MobileNetV3",
        ("features.4.block.2.fc1.weight", "classifier.0.weight", "classifier.3.weight"),
        _MOBILENETV3,
        None,
        wider_eps={"": _WIDER},
    ),
    Family(
        TORCHVISION,
        "EfficientNet",
        ("features.1.0.block.1.fc1.weight", "features.8.0.weight", "classifier.1.weight"),
        EFFICIENTNETS,
        None,
        wider_eps={f"efficientnet_b{size}": _WIDER for size in (5, 6, 7)},
    ),
    Family(
        MMPRETRAIN,
        "ResNet, ResNeXt",
        ("backbone.layer1.0.conv1.weight", "head.fc.weight"),
        RESNETS,
        _RESNET_MM,
    ),
    Family(MMPRETRAIN, "ViT", ("backbone.cls_token", "backbone.layers.0.attn.qkv.weight"), VITS, _VIT_MM),
    Family(
        MMPRETRAIN,
        "Swin",
        ("backbone.stages.0.blocks.0.attn.w_msa.qkv.weight", "head.fc.weight"),
        tuple(SWINS),
        _SWIN_MM,
        unused=_POINTS,
        by_channel=True,
    ),
    Family(
        MMPRETRAIN,
        "ConvNeXt",
        ("backbone.stages.0.0.depthwise_conv.weight", "backbone.stages.0.0.gamma", "head.fc.weight"),
        tuple(CONVNEXTS),
        _CONVNEXT_MM,
    ),
    Family(
        MMPRETRAIN,
        "MobileNetV2",
        ("backbone.layer1.0.conv.0.conv.weight", "backbone.conv2.conv.weight", "head.fc.weight"),
        ("mobilenetv2_100",),
        None,
    ),
    Family(
        MMPRETRAIN,
        "MobileNetV3",
        ("backbone.layer0.conv.weight", "head.layers.0.fc.weight", "head.layers.1.fc.weight"),
        _MOBILENETV3,
        None,
        wider_eps={"": _WIDER},
    ),
    Family(
        MMPRETRAIN,
        "EfficientNet",
        ("backbone.layers.0.conv.weight", "backbone.layers.1.0.depthwise_conv.conv.weight", "head.fc.weight"),
        tuple(f"tf_{name}" for name in EFFICIENTNETS),
        None,
    ),
    Family(
        TRANSFORMERS,
        "ViT",
        ("vit.embeddings.patch_embeddings.projection.weight", "classifier.weight"),
        VITS,
        _VIT_HUGGING_FACE,
        unused=r"^vit\.pooler\.|^vit\.embeddings\.mask_token$",
    ),
    Family(
        TRANSFORMERS,
        "Swin",
        ("swin.embeddings.patch_embeddings.projection.weight", "classifier.weight"),
        tuple(SWINS),
        _SWIN_HUGGING_FACE,
        unused=_POINTS,
    ),
    Family(
        TRANSFORMERS,
        "ConvNeXt",
        ("convnext.embeddings.patch_embeddings.weight", "classifier.weight"),
        tuple(CONVNEXTS),
        _CONVNEXT_HUGGING_FACE,
    ),
    Family(
        TRANSFORMERS,
        "ResNet",
        ("resnet.embedder.embedder.convolution.weight", "classifier.1.weight"),
        (),
        _RESNET_HUGGING_FACE,
    ),
    Family(
        TIMM,
        "ResNet",
        ("conv1.0.weight", "layer1.0.conv1.weight", "fc.weight"),
        (),
        ((r"^fc\.", "classifier."),),
    ),
    Family(
        TIMM,
        "EfficientNet, MobileNet",
        ("conv_stem.weight", "blocks.0.0.conv_dw.weight", "classifier.weight"),
        (),  # several members of the same shapes differ in padding and eps, so the file has to name one
        (),
    ),
    Family(
        TIMM,
        "ViT",
        ("cls_token", "blocks.0.attn.qkv.weight", "norm.weight", "head.weight"),
        VITS,
        ((r"^head\.", "classifier."),),
    ),
    Family(
        TIMM,
        "Swin",
        ("layers.0.blocks.0.attn.relative_position_bias_table", "norm.weight", "head.fc.weight"),
        tuple(SWINS),
        ((r"^head\.fc\.", "classifier."),),
        unused=_POINTS,
    ),
    Family(
        TIMM,
        "ConvNeXt",
        ("stages.0.blocks.0.conv_dw.weight", "stages.0.blocks.0.gamma", "head.fc.weight"),
        tuple(CONVNEXTS),
        ((r"^head\.fc\.", "classifier."),),
    ),
)
"""All families, in the order in which they are tried."""
