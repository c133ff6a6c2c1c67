"""Checkpoints of nnU-Net v2: a results folder, or a file of one of its folds, which contains its plans.

Networks: `PlainConvUNet` and `ResidualEncoderUNet`, in 2D and 3D. Axes that nnU-Net transposes are turned
back in the kernels, so that the network sees volumes as they are in their files.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from limner.core.errors import ModelError, describe
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import Asked, CheckpointSource, NetworkShape, ReadNetwork
from limner.weights.renaming import Naming, Renamed, Rule, rename
from limner.weights.sources.volumes.nnunet_plans import Configuration, read_configuration

TITLE = "nnU-Net"
SIGN = "decoder.seg_layers.0.weight"

RECIPE: Mapping[str, Any] = {
    "optimizer": {"learning_rate": 1e-4},
    "train": {"steps": 1, "batch_size": 2, "validate_every": 1, "save_every": 1},
}
"""Settings for continued training from the weights."""

_RULES: tuple[Rule, ...] = (
    (r"^encoder\.stem\.convs\.0\.", "stem."),
    (r"^encoder\.stages\.(\d+)\.0\.convs\.", r"encoder.\1."),
    (r"^encoder\.stages\.(\d+)\.convs\.", r"encoder.\1."),
    (r"^encoder\.stages\.(\d+)\.blocks\.", r"encoder.\1."),
    (r"\.skip\.[01]\.", ".project."),
    (r"^decoder\.stages\.(\d+)\.convs\.", r"decoder.stages.\1."),
    (r"^decoder\.transpconvs\.", "decoder.ups."),
)

_NORMS = {"InstanceNorm": "instance", "BatchNorm": "batch"}
_ACTIVATIONS = {"LeakyReLU": "leaky_relu", "ReLU": "relu", "ELU": "elu", "SiLU": "silu"}
_SLOPE, _EPSILON = 0.01, 1e-5


def _recognises(checkpoint: Checkpoint) -> bool:
    return SIGN in checkpoint.tensors and any(n.startswith("encoder.stages.") for n in checkpoint.tensors)


def _read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    configuration = read_configuration(checkpoint)
    name, options = _network(configuration, checkpoint)
    stages = len(options["features"])
    renamed = rename(checkpoint.tensors, _naming(stages))
    heads = max(stages - 2, 1)
    renamed.leave_out(f"decoder.heads.{heads}.", "the coarsest auxiliary head, whose loss has the weight 0")
    _turn_kernels(renamed, configuration)
    head = renamed.tensors["decoder.heads.0.conv.weight"]
    first = "stem.conv.weight" if "stem.conv.weight" in renamed.tensors else "encoder.0.0.conv.weight"
    channels = renamed.tensors[first].shape[1] if first in renamed.tensors else 1
    dims = configuration.spatial_dims
    shape = NetworkShape(
        name,
        {**options, **asked.options},
        head.shape[0],
        channels,
        f"{configuration.architecture} in {dims}D, configuration {configuration.name}",
        dict.fromkeys(("strides", "activation"), "plans.json"),
        dims,
    )
    return ReadNetwork(shape, renamed, configuration.conclude(checkpoint, shape, asked))


def _naming(stages: int) -> Naming:
    """Return the names; scores are numbered from the finest stage here, from the coarsest there."""
    heads = tuple(
        (rf"^decoder\.seg_layers\.{step}\.", f"decoder.heads.{stages - 2 - step}.conv.")
        for step in range(stages - 1)
    )
    return Naming(
        TITLE,
        sign=r"^decoder\.seg_layers\.",
        rules=(*_RULES, *heads),
        unused=r"\.all_modules\.|^decoder\.encoder\.",
        why_unused="a second name of a tensor that is used",
    )


def _turn_kernels(renamed: Renamed, configuration: Configuration) -> None:
    """Turn the kernels' axes back from nnU-Net's order to that of the files."""
    order = configuration.kernel_order
    if order == tuple(range(len(order))):
        return
    axes = (0, 1, *(2 + axis for axis in order))

    def turn(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.permute(axes).contiguous()

    for name, tensor in renamed.tensors.items():
        if tensor.ndim == len(axes) and tensor.shape[2:].numel() > 1:
            renamed.change(name, turn, f"axes turned to the order of files: {order}")


def _network(configuration: Configuration, checkpoint: Checkpoint) -> tuple[str, dict[str, Any]]:
    """Return limner's network and its options.

    Raises:
        ModelError: The network is of another class, or has layers that limner's lacks.
    """
    given = configuration.arguments
    kind = configuration.architecture
    stages = len(given["features_per_stage"])
    options: dict[str, Any] = {
        "features": tuple(given["features_per_stage"]),
        "kernels": configuration.turned(given["kernel_sizes"]),
        "strides": configuration.turned(given["strides"]),
        "conv_bias": bool(given.get("conv_bias", False)),
        "decoder_convs": _numbers(given["n_conv_per_stage_decoder"], stages - 1),
        **_layers(given, checkpoint),
    }
    if kind == "PlainConvUNet":
        options["convs"] = _numbers(given["n_conv_per_stage"], stages)
        if given.get("nonlin_first"):
            options["activation_first"] = True
        return "nnunet", options
    if kind == "ResidualEncoderUNet":
        if "Bottleneck" in str(given.get("block")):
            raise _unsupported(f"blocks {given['block']}", "blocks BasicBlockD", checkpoint)
        options["blocks"] = _numbers(given["n_blocks_per_stage"], stages)
        options["stem_channels"] = given.get("stem_channels")
        return "nnunet-resenc", options
    raise _unsupported(kind, "PlainConvUNet or ResidualEncoderUNet", checkpoint)


def _layers(given: Mapping[str, Any], checkpoint: Checkpoint) -> dict[str, Any]:
    """Return normalisation, activation and dropout."""
    norm = str(given.get("norm_op") or "none").rpartition(".")[2].rstrip("123d")
    norm_options = given.get("norm_op_kwargs") or {}
    activation = str(given.get("nonlin") or "none").rpartition(".")[2]
    slope = (given.get("nonlin_kwargs") or {}).get("negative_slope", _SLOPE)
    found = f"{norm} with {norm_options}, {activation} with {given.get('nonlin_kwargs')}"
    is_known = (norm in _NORMS or norm == "none") and (activation in _ACTIVATIONS or activation == "none")
    if not is_known or slope != _SLOPE or norm_options.get("eps", _EPSILON) != _EPSILON:
        expected = f"{', '.join(_NORMS)} with eps {_EPSILON}; {', '.join(_ACTIVATIONS)} with slope {_SLOPE}"
        raise _unsupported(found, expected, checkpoint)
    dropout = (given.get("dropout_op_kwargs") or {}).get("p", 0.5) if given.get("dropout_op") else 0.0
    return {
        "norm": _NORMS.get(norm, "none"),
        "norm_affine": bool(norm_options.get("affine", norm == "BatchNorm")),
        "activation": _ACTIVATIONS.get(activation, "none"),
        "dropout": float(dropout),
    }


def _numbers(value: int | Sequence[int], count: int) -> tuple[int, ...]:
    return (value,) * count if isinstance(value, int) else tuple(value)[:count]


def _unsupported(found: str, expected: str, checkpoint: Checkpoint) -> ModelError:
    return ModelError(
        describe(
            "limner does not have this network of nnU-Net",
            where=checkpoint.path,
            found=found,
            expected=expected,
        )
    )


NNUNET = CheckpointSource(TITLE, "nnU-Net", SIGN, _recognises, _read, RECIPE)
