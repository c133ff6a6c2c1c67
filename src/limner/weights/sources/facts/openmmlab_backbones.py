r"""Backbones of mmsegmentation and mmdetection, which have the same modules: names and conversions."""

import re
from collections.abc import Sequence
from itertools import accumulate

import torch

from limner.networks.backbones.mobilenetv2 import STAGES
from limner.networks.backbones.mobilenetv3 import LARGE, SMALL, STEM, BlockShape
from limner.weights.renaming import Renamed, Rule

_RESNET: tuple[Rule, ...] = (
    (r"^backbone\.stem\.7\.", "backbone.bn1."),
    (r"^backbone\.stem\.", "backbone.conv1."),
)

_MIT: tuple[Rule, ...] = (
    *(
        rule
        for stage in range(4)
        for rule in (
            (rf"^backbone\.layers\.{stage}\.0\.projection\.", f"backbone.patch_embed{stage + 1}.proj."),
            (rf"^backbone\.layers\.{stage}\.0\.norm\.", f"backbone.patch_embed{stage + 1}.norm."),
            (rf"^backbone\.layers\.{stage}\.1\.", f"backbone.block{stage + 1}."),
            (rf"^backbone\.layers\.{stage}\.2\.", f"backbone.norm{stage + 1}."),
        )
    ),
    (r"\.attn\.attn\.out_proj\.", ".attn.proj."),
    (r"^(backbone\..*)\.ffn\.layers\.0\.", r"\1.mlp.fc1."),
    (r"^(backbone\..*)\.ffn\.layers\.1\.", r"\1.mlp.dwconv.dwconv."),
    (r"^(backbone\..*)\.ffn\.layers\.4\.", r"\1.mlp.fc2."),
)

# They merge Swin's patches at the end of a stage; limner does at the start of the next.
_SWIN: tuple[Rule, ...] = (
    (r"^backbone\.patch_embed\.projection\.", "backbone.patch_embed.proj."),
    (r"^backbone\.norm(\d)\.", r"norms.\1."),
    *(
        (rf"^backbone\.stages\.{stage}\.downsample\.", f"backbone.layers.{stage + 1}.downsample.")
        for stage in range(3)
    ),
    (r"^backbone\.stages\.", "backbone.layers."),
    (r"\.attn\.w_msa\.", ".attn."),
    (r"^(backbone\.layers\..*)\.ffn\.layers\.0\.0\.", r"\1.mlp.fc1."),
    (r"^(backbone\.layers\..*)\.ffn\.layers\.1\.", r"\1.mlp.fc2."),
)

VISION_TRANSFORMER: tuple[Rule, ...] = (
    (r"^backbone\.patch_embed\.projection\.", "backbone.patch_embed.proj."),
    (r"^backbone\.ln1\.", "backbone.norm."),
    (r"^backbone\.layers\.", "backbone.blocks."),
    (r"^(backbone\..*)\.ln(\d)\.", r"\1.norm\2."),
    (r"^(backbone\..*)\.ffn\.layers\.0\.0\.", r"\1.mlp.fc1."),
    (r"^(backbone\..*)\.ffn\.layers\.1\.", r"\1.mlp.fc2."),
)
"""Parts of a Vision Transformer of mmsegmentation, BEiT among them, but its attention."""

CONVNEXT_BLOCK: tuple[Rule, ...] = (
    (r"\.depthwise_conv\.", ".conv_dw."),
    (r"\.pointwise_conv([12])\.", r".mlp.fc\1."),
)
"""Parts of a block of ConvNeXt."""

_CONVNEXT: tuple[Rule, ...] = (
    (r"^backbone\.downsample_layers\.0\.([01])\.", r"backbone.model.stem_\1."),
    (r"^backbone\.downsample_layers\.(\d)\.", r"backbone.model.stages_\1.downsample."),
    (r"^backbone\.stages\.(\d)\.(\d+)\.", r"backbone.model.stages_\1.blocks.\2."),
    (r"^backbone\.norm(\d)\.", r"norms.\1."),
    *CONVNEXT_BLOCK,
)


def _mobilenetv2() -> tuple[Rule, ...]:
    """Return the names of MobileNetV2, whose blocks torchvision and limner count through all stages."""
    first = [0, *accumulate(stage.blocks for stage in STAGES)]
    places = (
        (stage, block, first[stage] + block + 1)
        for stage in range(7)
        for block in range(STAGES[stage].blocks)
    )
    return (
        (r"^backbone\.conv1\.conv\.", "backbone.features.0.0."),
        (r"^backbone\.conv1\.bn\.", "backbone.features.0.1."),
        *(
            (rf"^backbone\.layer{stage + 1}\.{block}\.conv\.", f"backbone.features.{place}.conv.")
            for stage, block, place in places
        ),
        # The first block does not widen; the last convolution of a block is no sequence with its norm.
        (r"^(backbone\.features\.1\.conv)\.1\.conv\.", r"\1.1."),
        (r"^(backbone\.features\.1\.conv)\.1\.bn\.", r"\1.2."),
        (r"^(backbone\.features\.\d+\.conv)\.2\.conv\.", r"\1.2."),
        (r"^(backbone\.features\.\d+\.conv)\.2\.bn\.", r"\1.3."),
        (r"^(backbone\.features\.\d+\.conv\.[01])\.conv\.", r"\1.0."),
        (r"^(backbone\.features\.\d+\.conv\.[01])\.bn\.", r"\1.1."),
    )


def _mobilenetv3(blocks: Sequence[BlockShape]) -> tuple[Rule, ...]:
    """Return the names of MobileNetV3, whose parts of a block are numbered in torchvision and limner."""
    rules: list[Rule] = []
    width = STEM
    for index, block in enumerate(blocks, start=1):
        parts = ["expand_conv"] * (block.expanded != width) + ["depthwise_conv"]
        parts += ["se"] * block.squeezes + ["linear_conv"]
        rules += [
            (rf"^backbone\.layer{index}\.{part}\.", f"backbone.features.{index}.block.{place}.")
            for place, part in enumerate(parts)
        ]
        width = block.channels
    return (
        *rules,
        (r"^backbone\.layer(\d+)\.(conv|bn)\.", r"backbone.features.\1.\2."),  # the first and the last
        (r"^(backbone\.features\..*)\.conv([12])\.conv\.", r"\1.fc\2."),
        (r"^(backbone\.features\..*)\.conv\.", r"\1.0."),
        (r"^(backbone\.features\..*)\.bn\.", r"\1.1."),
    )


BACKBONES: dict[str, tuple[str, tuple[Rule, ...]]] = {
    "MixVisionTransformer": ("backbone.layers.0.0.projection.weight", _MIT),
    "SwinTransformer": ("backbone.stages.0.blocks.0.attn.w_msa.qkv.weight", _SWIN),
    "ConvNeXt": ("backbone.stages.0.0.depthwise_conv.weight", _CONVNEXT),
    "HRNet": ("backbone.transition1.0.0.weight", ()),
    "MobileNetV2": ("backbone.layer1.0.conv.0.conv.weight", _mobilenetv2()),
    "MobileNetV3-Large": ("backbone.layer16.conv.weight", _mobilenetv3(LARGE)),
    "MobileNetV3-Small": ("backbone.layer12.conv.weight", _mobilenetv3(SMALL)),
    "ResNetV1c": ("backbone.stem.0.weight", _RESNET),
    "ResNet": ("backbone.conv1.weight", ()),
}
"""Backbone -> a tensor that it has, and its rules; in the order in which they are looked for."""


def convert_backbone(renamed: Renamed) -> None:
    """Change the tensors of a backbone that are stored in another order."""
    for name in list(renamed.tensors):
        if re.search(r"^backbone\..*\.attn\.attn\.in_proj_(weight|bias)$", name):
            _split_queries(renamed, name)
        elif re.search(r"^backbone\.block\d.*\.mlp\.fc\d\.weight$", name):
            renamed.change(name, lambda t: t.flatten(1), "a 1x1 convolution as a linear layer")
        elif re.search(r"^backbone\..*\.downsample\.(reduction\.weight|norm\.(weight|bias))$", name):
            renamed.change(name, patches_by_position, "merged patches: by position instead of by channel")


def patches_by_position(tensor: torch.Tensor) -> torch.Tensor:
    """Reorder the inputs of a patch merging, which `unfold` stores by channel, and Swin by position."""
    channels = tensor.shape[-1] // 4
    by_channel = tensor.reshape(*tensor.shape[:-1], channels, 4)
    # Swin's order goes down the rows first, that of `unfold` along the columns.
    return by_channel[..., [0, 2, 1, 3]].transpose(-1, -2).reshape(tensor.shape)


FIRSTS = tuple(
    f"backbone.{layer}.weight"
    for layer in ("conv1", "conv1.0", "features.0.0", "patch_embed.proj", "patch_embed1.proj", "model.stem_0")
)
"""Weights of the first layers of all backbones."""


def reverse_channels(renamed: Renamed, firsts: Sequence[str] = FIRSTS) -> None:
    """Turn a network for BGR into one for RGB: reverse the inputs of the layers that read the image."""
    for name in firsts:
        renamed.change(name, lambda t: t.flip(1), "BGR to RGB")


def leave_out_counters(renamed: Renamed) -> None:
    """Leave out the counters of batches of a backbone whose norms are kept as they are."""
    for name in [name for name in renamed.tensors if re.match(r"backbone\..*\.num_batches_tracked$", name)]:
        renamed.leave_out(name, "the norms of the backbone are kept as they are, and count no batches")


def _split_queries(renamed: Renamed, name: str) -> None:
    whole, original = renamed.tensors.pop(name), renamed.theirs.pop(name)
    width = whole.shape[0] // 3
    kind = name.rpartition("_")[2]
    start = name.removesuffix(f"attn.in_proj_{kind}")
    for ours, part in ((f"{start}q.{kind}", whole[:width]), (f"{start}kv.{kind}", whole[width:])):
        renamed.tensors[ours], renamed.theirs[ours] = part, original
        renamed.reshaped[ours] = "queries apart from keys and values"
