"""The arguments with which MONAI builds the network of a checkpoint, for comparing scores with it."""

from collections.abc import Callable, Mapping
from typing import Any

from limner.weights.checkpoint_files import Checkpoint
from limner.weights.sources.volumes.monai import class_of, first_and_last

Options = Mapping[str, Any]

_ACTIVATIONS = {"silu": "swish", "leaky_relu": ("leakyrelu", {"negative_slope": 0.01})}
"""limner's name -> MONAI's, where they differ."""


def arguments_for_library(
    checkpoint: Checkpoint, options: Options, spatial_dims: int
) -> tuple[str, dict[str, Any]]:
    """Return MONAI's class and the arguments that build the checkpoint's network.

    Args:
        checkpoint: The checkpoint.
        options: Options of limner's network.
        spatial_dims: 2 or 3.
    """
    kind = class_of(checkpoint)
    assert kind is not None, "the checkpoint was imported as MONAI's"
    channels, classes = first_and_last(checkpoint, kind)
    common = {"spatial_dims": spatial_dims, "in_channels": channels, "out_channels": classes}
    return kind, common | _ARGUMENTS[kind](options)


def _norm(options: Options) -> Any:  # noqa: ANN401 - a name, or one with options
    if options["norm"] == "group":
        return "group", {"num_groups": options.get("norm_groups", 8)}
    return options["norm"], {"affine": options.get("norm_affine", True)}


def _activation(options: Options) -> Any:  # noqa: ANN401 - a name, or one with options
    return _ACTIVATIONS.get(options["activation"], options["activation"])


def _unet(options: Options) -> dict[str, Any]:
    return {
        "channels": options["widths"],
        "strides": options["strides"],
        "kernel_size": options["kernel"],
        "up_kernel_size": options["up_kernel"],
        "num_res_units": options["units"],
        "bias": options["conv_bias"],
        "act": _activation(options),
        "norm": _norm(options),
    }


def _segresnet(options: Options) -> dict[str, Any]:
    return {
        "init_filters": options["width"],
        "blocks_down": options["blocks"],
        "blocks_up": options["decoder_blocks"],
        "upsample_mode": "deconv" if options["upsampling"] == "transposed" else "nontrainable",
        "act": _activation(options),
        "norm": _norm(options),
    }


def _vnet(options: Options) -> dict[str, Any]:
    return {"act": _activation(options), "bias": options["conv_bias"]}


def _dynunet(options: Options) -> dict[str, Any]:
    heads = options["auxiliary_heads"]
    return {
        "kernel_size": options["kernels"],
        "strides": options["strides"],
        "upsample_kernel_size": options["strides"][1:],
        "filters": options["features"],
        "norm_name": _norm(options),
        "act_name": _activation(options),
        "res_block": options["residual"],
        "trans_bias": options["upsampling_bias"],
        "deep_supervision": heads > 0,
        "deep_supr_num": max(heads, 1),
    }


def _unetr(options: Options) -> dict[str, Any]:
    return {
        "img_size": options["image_size"],
        "feature_size": options["width"],
        "hidden_size": options["hidden"],
        "mlp_dim": options["mlp_hidden"],
        "num_heads": options["num_heads"],
        "norm_name": _norm(options),
        "res_block": options["residual"],
        "conv_block": options["tower_convs"],
        "qkv_bias": options["qkv_bias"],
    }


def _swinunetr(options: Options) -> dict[str, Any]:
    return {
        "feature_size": options["width"],
        "depths": options["blocks"],
        "num_heads": options["num_heads"],
        "window_size": options["window"],
        "qkv_bias": options["qkv_bias"],
        "patch_norm": options["patch_norm"],
        "normalize": options["normalize"],
        "use_v2": options["stage_convs"],
        "norm_name": _norm(options),
        "downsample": "mergingv2" if options.get("merging") == "all" else "merging",
    }


_ARGUMENTS: Mapping[str, Callable[[Options], dict[str, Any]]] = {
    "UNet": _unet,
    "SegResNet": _segresnet,
    "VNet": _vnet,
    "DynUNet": _dynunet,
    "UNETR": _unetr,
    "SwinUNETR": _swinunetr,
}
