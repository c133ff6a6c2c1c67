"""Checkpoints of MONAI: a state dict, or a bundle with configs/metadata.json and models/model.pt.

Networks: UNet, SegResNet, DynUNet, UNETR, SwinUNETR and VNet, in 2D and 3D. A state dict contains neither
strides nor the number of attention heads; without a bundle they are the library's defaults, which is said.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from limner.core.errors import ConfigError, ModelError, describe
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import SET_BY_USER, Asked, CheckpointSource, NetworkShape, ReadNetwork
from limner.weights.renaming import Renamed, rename, tensor_sizes
from limner.weights.sources.facts.backbone_shapes import Sizes
from limner.weights.sources.volumes.monai_bundle import conclude_monai, network_arguments
from limner.weights.sources.volumes.monai_names import SIGNS, TITLE, UNET_SIGNS, monai_naming

RECIPE: Mapping[str, Any] = {
    "optimizer": {"learning_rate": 1e-4},
    "train": {"steps": 1, "batch_size": 2, "validate_every": 1, "save_every": 1},
}
"""Settings for continued training from the weights."""

PATCH = 16
"""Voxels along a side of UNETR's patches."""

FIXED_IN = (1, 5)
"""Version of MONAI from which SwinUNETR's merging takes each voxel once."""

_ASSUMED = "assumed: the library's default, which a state dict does not contain"

Options = dict[str, Any]


class _Known:
    """Shapes of the tensors, the bundle's arguments, the caller's options; and what was taken from where."""

    def __init__(
        self, checkpoint: Checkpoint, arguments: Mapping[str, Any], asked: Mapping[str, Any]
    ) -> None:
        self.sizes: Sizes = tensor_sizes(checkpoint.tensors)
        self.checkpoint = checkpoint
        self.sources: dict[str, str] = {}
        self.arguments, self.asked = arguments, asked

    def value(self, argument: str, option: str, default: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Return the value for an option of limner's, and note its source; `default` is MONAI's."""
        if option in self.asked:
            self.sources[option] = SET_BY_USER
            return self.asked[option]
        if argument in self.arguments:
            self.sources[option] = "the bundle's network"
            return _plain(self.arguments[argument])
        self.sources[option] = _ASSUMED
        return default

    def width(self, name: str) -> int:
        """Return the number of output channels of a convolution; 1 if it is missing, which is reported."""
        return self.sizes.get(f"{name}.weight", (1,))[0]

    def kernel(self, name: str) -> tuple[int, ...]:
        """Return the kernel of a convolution."""
        return self.sizes[f"{name}.weight"][2:]

    def count(self, pattern: str) -> int:
        """Return one more than the largest number in names that match, or 0."""
        return max(
            (1 + int(found[1]) for name in self.sizes if (found := re.match(pattern, name))), default=0
        )

    def has(self, name: str) -> bool:
        """Return whether there is such a tensor."""
        return name in self.sizes

    def norm(self, name: str, *, grouped: bool = False) -> Options:
        """Return the options of a normalisation by its tensors; those without any are in no state dict."""
        if self.has(f"{name}.running_mean"):
            return {"norm": "batch", "norm_affine": True}
        is_affine = self.has(f"{name}.weight")
        kind = _kind_of(
            self.value("norm" if grouped else "norm_name", "norm", "group" if grouped else "instance")
        )
        if kind not in ("instance", "group") or (kind == "group") != grouped or (grouped and not is_affine):
            kind = "instance"
        return {"norm": kind, "norm_affine": is_affine}

    def activation(self, name: str, default: str) -> str:
        """Return an activation: `prelu` has weights, others are in no state dict."""
        if self.has(f"{name}.weight"):
            return "prelu"
        kind = _ACTIVATIONS.get(_kind_of(self.value("act", "activation", default)))
        if kind is None or kind == "prelu":
            found = self.arguments.get("act")
            raise _unsupported(f"the activation {found}", ", ".join(_ACTIVATIONS), self.checkpoint)
        return kind


_ACTIVATIONS = {
    "relu": "relu",
    "leakyrelu": "leaky_relu",
    "leaky_relu": "leaky_relu",
    "prelu": "prelu",
    "elu": "elu",
    "gelu": "gelu",
    "swish": "silu",
}
"""MONAI's name -> limner's."""


def _kind_of(value: Any) -> str:  # noqa: ANN401 - a name, or a name with options
    return str(value if isinstance(value, str) else value[0]).lower()


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return tuple(_plain(each) for each in value) if isinstance(value, list) else value


def _unet(known: _Known) -> Options:
    levels = _levels(known.sizes)
    units = known.count(r"0\.conv\.unit(\d+)\.")
    first = "0.conv.unit0" if units else "0"
    paths = ["1.submodule." * level + ("" if level == levels - 1 else "0.") for level in range(levels)]
    ends = [f"{path}{'conv.unit0.' if units else ''}conv" for path in paths]
    up = "2.0.conv" if units else "2.conv"
    kernel, up_kernel = known.kernel(f"{first}.conv"), known.kernel(up)
    if len({*kernel}) > 1 or len({*up_kernel}) > 1:
        raise _unsupported(
            f"kernels {kernel} and {up_kernel}", "the same side for all axes", known.checkpoint
        )
    return {
        "widths": tuple(known.width(end) for end in ends),
        "strides": known.value("strides", "strides", (2,) * (levels - 1))[: levels - 1],
        "kernel": kernel[0],
        "up_kernel": up_kernel[0],
        "units": units,
        "conv_bias": known.has(f"{first}.conv.bias"),
        "activation": known.activation(f"{first}.adn.A", "prelu" if known.arguments else "relu"),
        **_unet_norm(known, f"{first}.adn.N"),
    }


def _unet_norm(known: _Known, name: str) -> Options:
    """Return the normalisation of a `UNet`, which calls the argument `norm`."""
    if known.has(f"{name}.running_mean") or known.has(f"{name}.weight"):
        return {"norm_affine": True, "norm": "batch" if known.has(f"{name}.running_mean") else "instance"}
    kind = _kind_of(known.value("norm", "norm", "instance"))
    if kind != "instance":
        raise _unsupported(f"the normalisation {kind} without weights", "instance or batch", known.checkpoint)
    return {"norm": "instance", "norm_affine": False}


def _levels(sizes: Sizes) -> int:
    """Return the number of levels of a `UNet`: one more than the deepest nesting."""
    return 1 + max(name.count("1.submodule.") for name in sizes)


def _segresnet(known: _Known) -> Options:
    if any(".pixelshuffle." in name for name in known.sizes):
        raise _unsupported("upsampling by pixelshuffle", "nontrainable or deconv", known.checkpoint)
    stages = known.count(r"down_layers\.(\d+)\.")
    blocks = [known.count(rf"down_layers\.{stage}\.(\d+)\.conv2\.") - 1 for stage in range(stages)]
    ups = known.count(r"up_layers\.(\d+)\.")
    norm = known.norm("conv_final.0", grouped=True)
    options = known.arguments.get("norm")
    groups = options[1].get("num_groups", 8) if isinstance(options, list) and len(options) > 1 else 8
    return {
        "width": known.width("convInit.conv"),
        "blocks": tuple(blocks),
        "decoder_blocks": tuple(known.count(rf"up_layers\.{stage}\.(\d+)\.") for stage in range(ups)),
        "upsampling": "transposed" if known.has("up_samples.0.1.deconv.weight") else "linear",
        "activation": known.activation("conv_final.1", "relu"),
        "norm_groups": groups,
        **norm,
    }


def _vnet(known: _Known) -> Options:
    return {
        "activation": known.activation("in_tr.act_function", "elu"),
        "conv_bias": known.has("in_tr.conv_block.conv.bias"),
    }


def _dynunet(known: _Known) -> Options:
    encoder = ["input_block", *(f"downsamples.{i}" for i in range(known.count(r"downsamples\.(\d+)\.")))]
    encoder.append("bottleneck")
    ups = [f"upsamples.{step}" for step in range(len(encoder) - 1)]  # coarsest first
    kernels = [known.kernel(f"{name}.conv1.conv") for name in encoder]
    first = known.value("strides", "strides", (1,))[0]
    dims = len(kernels[0])
    strides = [(first,) * dims if isinstance(first, int) else tuple(first)]
    strides += [known.kernel(f"{name}.transp_conv.conv") for name in reversed(ups)]
    for kernel, stride in zip(kernels, strides, strict=True):
        if any((side - step + 1) // 2 != side // 2 for side, step in zip(kernel, stride, strict=True)):
            raise _unsupported(f"kernel {kernel} with stride {stride}", "another padding", known.checkpoint)
    return {
        "features": tuple(known.width(f"{name}.conv1.conv") for name in encoder),
        "kernels": tuple(kernels),
        "strides": tuple(strides),
        "decoder_kernels": tuple(known.kernel(f"{name}.conv_block.conv1.conv") for name in ups),
        "conv_bias": False,
        "upsampling_bias": known.has("upsamples.0.transp_conv.conv.bias"),
        "residual": known.has("bottleneck.conv3.conv.weight"),
        "auxiliary_heads": known.count(r"deep_supervision_heads\.(\d+)\."),
        "activation": known.activation("input_block.lrelu", "leaky_relu"),
        **known.norm("input_block.norm1"),
    }


def _unetr(known: _Known) -> Options:
    _, patches, hidden = known.sizes["vit.patch_embedding.position_embeddings"]
    dims = len(known.kernel("encoder1.layer.conv1.conv"))
    side = round(patches ** (1 / dims))
    if side**dims == patches:
        size: Any = side * PATCH
    else:
        size = known.value("img_size", "image_size", None)
    if size is None:
        raise ConfigError(
            describe(
                "The size of the inputs that UNETR's positions were learned for is unknown",
                where=known.checkpoint.path,
                found=f"{patches} patches, which are no cube",
                fix="Set it: --set network.options.image_size=[96,96,64]",
            )
        )
    return {
        "image_size": size,
        "width": known.width("encoder1.layer.conv1.conv"),
        "hidden": hidden,
        "num_blocks": known.count(r"vit\.blocks\.(\d+)\."),
        "num_heads": known.value("num_heads", "num_heads", 12),
        "mlp_hidden": known.width("vit.blocks.0.mlp.linear1"),
        "qkv_bias": known.has("vit.blocks.0.attn.qkv.bias"),
        "residual": known.has("decoder5.conv_block.conv3.conv.weight"),
        "tower_convs": known.has("encoder2.blocks.0.0.conv.weight"),
        **known.norm("encoder1.layer.norm1"),
    }


def _swinunetr(known: _Known) -> Options:
    dims = len(known.kernel("encoder1.layer.conv1.conv"))
    table = "swinViT.layers{}.0.blocks.0.attn.relative_position_bias_table"
    rows = known.sizes[table.format(1)][0]
    side = (round(rows ** (1 / dims)) + 1) // 2
    is_cube = (2 * side - 1) ** dims == rows
    options = {
        "width": known.width("swinViT.patch_embed.proj"),
        "blocks": tuple(known.count(rf"swinViT\.layers{s}\.0\.blocks\.(\d+)\.") for s in range(1, 5)),
        "num_heads": tuple(known.sizes[table.format(s)][1] for s in range(1, 5)),
        "window": side if is_cube else known.value("window_size", "window", 7),
        "qkv_bias": known.has("swinViT.layers1.0.blocks.0.attn.qkv.bias"),
        "patch_norm": known.has("swinViT.patch_embed.norm.weight"),
        "normalize": known.value("normalize", "normalize", True),
        "stage_convs": any(name.startswith("swinViT.layers1c.") for name in known.sizes),
        **known.norm("encoder1.layer.norm1"),
    }
    return options if dims == 2 else options | {"merging": _merging(known)}


def _merging(known: _Known) -> str:
    """Return which voxels SwinUNETR merges: MONAI changed that, and a state dict does not tell.

    Raises:
        ConfigError: It is unknown.
    """
    if "merging" in known.asked:
        known.sources["merging"] = SET_BY_USER
        return str(known.asked["merging"])
    if _kind_of(known.arguments.get("downsample", "merging")) == "mergingv2":
        known.sources["merging"] = "the bundle's network"
        return "all"
    said = str(known.checkpoint.documents.get("metadata", {}).get("monai_version", ""))
    version = re.match(r"(\d+)\.(\d+)", said)
    if version is not None:
        known.sources["merging"] = f"the bundle is of MONAI {said}"
        return "ordered" if (int(version[1]), int(version[2])) >= FIXED_IN else "repeated"
    raise ConfigError(
        describe(
            "The version of MONAI that trained this SwinUNETR is unknown, and it changes the network",
            where=known.checkpoint.path,
            found="a state dict, which fits both",
            expected="MONAI before 1.5 merged two of eight voxels twice and left two out; later ones take "
            "each once",
            fix="Set one: --set network.options.merging=repeated (before 1.5), ordered (from 1.5), or all "
            '(downsample="mergingv2").',
        )
    )


_NETWORKS: Mapping[str, tuple[str, Callable[[_Known], Options]]] = {
    "UNet": ("residual-unet", _unet),
    "SegResNet": ("segresnet", _segresnet),
    "VNet": ("vnet", _vnet),
    "DynUNet": ("nnunet", _dynunet),
    "UNETR": ("unetr", _unetr),
    "SwinUNETR": ("swinunetr", _swinunetr),
}
"""MONAI's class -> limner's network, and what reads its options."""

_FIRST = {
    "UNet": ("0.conv.unit0.conv.weight", "0.conv.weight"),
    "SegResNet": ("convInit.conv.weight",),
    "VNet": ("in_tr.conv_block.conv.weight",),
    "DynUNet": ("input_block.conv1.conv.weight",),
    "UNETR": ("encoder1.layer.conv1.conv.weight",),
    "SwinUNETR": ("encoder1.layer.conv1.conv.weight",),
}
"""MONAI's class -> weight of the first convolution, with one of these names."""

_LAST = {
    "UNet": ("2.0.conv.weight", "2.conv.weight"),
    "SegResNet": ("conv_final.2.conv.weight",),
    "VNet": ("out_tr.conv2.weight",),
    "DynUNet": ("output_block.conv.conv.weight",),
    "UNETR": ("out.conv.conv.weight",),
    "SwinUNETR": ("out.conv.conv.weight",),
}
"""MONAI's class -> weight of the last convolution; of a UNet, the last transposed one."""


def class_of(checkpoint: Checkpoint) -> str | None:
    """Return MONAI's class of a checkpoint, or None if it is of another project."""
    found = next((kind for kind, name in SIGNS.items() if name in checkpoint.tensors), None)
    if found is None and any(name in checkpoint.tensors for name in UNET_SIGNS):
        return "UNet"
    return found


def _recognises(checkpoint: Checkpoint) -> bool:
    return class_of(checkpoint) is not None


def _read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    kind = class_of(checkpoint)
    assert kind is not None, "the source has recognised the checkpoint"
    known = _Known(checkpoint, network_arguments(checkpoint, kind), asked.options)
    name, read_options = _NETWORKS[kind]
    options = {**read_options(known), **asked.options}
    residual = bool(options.get("residual", options.get("units", True)))
    stages = len(options.get("features", options.get("widths", ())))
    renamed = rename(checkpoint.tensors, monai_naming(kind, residual=residual, stages=stages))
    _shape_patches(renamed)
    channels, classes = first_and_last(checkpoint, kind)
    dims = next(known.sizes[name] for name in _FIRST[kind] if known.has(name))[2:]
    shape = NetworkShape(
        name, options, classes, channels, f"{kind} in {len(dims)}D", known.sources, len(dims)
    )
    return ReadNetwork(shape, renamed, conclude_monai(checkpoint, shape, asked))


def first_and_last(checkpoint: Checkpoint, kind: str) -> tuple[int, int]:
    """Return the numbers of channels of the image and of classes.

    Raises:
        ModelError: The last convolution is missing.
    """
    first = next(checkpoint.tensors[name] for name in _FIRST[kind] if name in checkpoint.tensors)
    last = next((checkpoint.tensors[name] for name in _LAST[kind] if name in checkpoint.tensors), None)
    if last is None:
        raise _unsupported(f"no {' or '.join(_LAST[kind])}", f"a whole {kind}, with its scores", checkpoint)
    return first.shape[1], last.shape[1 if kind == "UNet" else 0]


def _shape_patches(renamed: Renamed) -> None:
    """Make the linear patch embedding of UNETR ("perceptron") the convolution that it is."""
    name = "transformer.patches.weight"
    tensor = renamed.tensors.get(name)
    if tensor is None or tensor.ndim != 2:
        return
    dims = renamed.tensors["towers.0.0.weight"].ndim - 2

    def unfold(weight: torch.Tensor) -> torch.Tensor:
        parts = weight.view(weight.shape[0], *[PATCH] * dims, -1)  # rows are patches, channels last
        return parts.movedim(-1, 1).contiguous()

    renamed.change(name, unfold, "a linear layer of patches, as the convolution that it is")


def _unsupported(found: str, expected: str, checkpoint: Checkpoint) -> ModelError:
    return ModelError(
        describe(
            f"limner does not have this network of {TITLE}",
            where=checkpoint.path,
            found=found,
            expected=expected,
        )
    )


MONAI = CheckpointSource(
    TITLE, "UNet, SegResNet, DynUNet, UNETR, SwinUNETR, VNet", SIGNS["SegResNet"], _recognises, _read, RECIPE
)
