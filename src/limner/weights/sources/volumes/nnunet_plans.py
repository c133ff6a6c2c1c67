"""The plans of nnU-Net v2: network, spacing, normalisation, patch and classes of a configuration.

Axes in a plan are in nnU-Net's transposed order: its axis i is axis `transpose_forward[i]` of the file's
array (depth, height, width).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limner.core.errors import ModelError, describe
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import Asked, Conclusions, Inferred, NetworkShape, Normalization
from limner.weights.sources.facts.volume_conclusions import EACH, OVER, conclude_volumes, identity

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
"""Files of 2D images; others have volumes."""

UNLIMITED = (-1e30, 1e30)
"""A range that clips nothing."""

WHERE = "plans.json"


@dataclass(frozen=True)
class Configuration:
    """One configuration of a plan.

    Attributes:
        name: As in the plan, such as ``3d_fullres``.
        architecture: Name of the network's class.
        arguments: Arguments of its constructor.
        values: The configuration.
        plans: The whole plan.
        dataset: `dataset.json`.
        mirrored: Axes along which nnU-Net mirrors for prediction, in its order; None mirrors none.
    """

    name: str
    architecture: str
    arguments: Mapping[str, Any]
    values: Mapping[str, Any]
    plans: Mapping[str, Any]
    dataset: Mapping[str, Any]
    mirrored: tuple[int, ...]

    @property
    def spatial_dims(self) -> int:
        """2 or 3."""
        return len(self.values["patch_size"])

    @property
    def forward(self) -> tuple[int, ...]:
        """For each axis of nnU-Net's order, the axis of the file's array."""
        return tuple(self.plans.get("transpose_forward", (0, 1, 2)))

    @property
    def places(self) -> tuple[int, ...]:
        """For each axis of the network, the axis of the file's array."""
        return self.forward[-self.spatial_dims :]

    @property
    def kernel_order(self) -> tuple[int, ...]:
        """For each axis of the file's array that the network sees, the axis of the network."""
        return tuple(self.places.index(axis) for axis in sorted(self.places))

    def turned(self, sizes: Sequence[Any] | int) -> Any:  # noqa: ANN401 - of each stage
        """Return a size for each stage, with axes in the file's order."""
        if isinstance(sizes, int):
            return None
        return tuple(
            size if isinstance(size, int) else tuple(size[axis] for axis in self.kernel_order)
            for size in sizes
        )

    def conclude(self, checkpoint: Checkpoint, shape: NetworkShape, asked: Asked) -> Conclusions:
        """Return everything that the tensors do not contain.

        Raises:
            ModelError: The normalisation or the classes are of a kind that limner lacks.
        """
        normalization, settings, facts = _normalization(self, checkpoint, asked)
        patch = tuple(int(self.values["patch_size"][axis]) for axis in self.kernel_order)
        flips = tuple(sorted(self._own_axis(axis) for axis in self.mirrored))
        settings |= {
            "input.crop_size": Inferred(patch, f"patch_size of {WHERE}"),
            "inference.window": Inferred(patch, f"patch_size of {WHERE}"),
            "inference.overlap": Inferred(0.5, "constant in nnU-Net"),
            "inference.padding": Inferred("mean", "nnU-Net pads volumes smaller than its patch with zeros"),
            "inference.flips": Inferred(bool(flips), "nnU-Net averages over mirrored volumes by default"),
            "augment.flip_axes": Inferred(flips, "axes that nnU-Net mirrors"),
            **self._grid(),
        }
        return conclude_volumes(
            checkpoint,
            shape,
            asked,
            normalization=normalization,
            names=Inferred(_class_names(self.dataset, shape.num_classes, checkpoint), "dataset.json"),
            settings=settings,
            facts=facts,
        )

    def _own_axis(self, axis: int) -> int:
        """Return limner's number of an axis of the network."""
        return self.kernel_order.index(axis)

    def _grid(self) -> dict[str, Inferred[Any]]:
        """Return the spacing at which the network sees volumes, and the axis of slices."""
        if self.dataset.get("file_ending") in IMAGE_ENDINGS:
            return {}
        spacing = tuple(float(self.values["spacing"][axis]) for axis in self.kernel_order)
        grid: dict[str, Inferred[Any]] = {
            "input.spacing_mm": Inferred(spacing, f"spacing of {WHERE}"),
            "input.resample": Inferred(True, "nnU-Net resamples volumes to its spacing"),
        }
        if self.spatial_dims == 2:
            why = f"transpose_forward of {WHERE}"
            grid["input.slice_axis"] = Inferred(self.forward[0], why)
            grid["input.slice_neighbours"] = Inferred(0, "constant in nnU-Net")
        return grid


def read_configuration(checkpoint: Checkpoint) -> Configuration:
    """Return the configuration that a checkpoint was trained with.

    Raises:
        ModelError: There are no plans, or the configuration is one that limner cannot predict.
    """
    inside, beside = checkpoint.meta, checkpoint.documents
    plans = inside.get("plans") or beside.get("plans")
    dataset = inside.get("dataset_json") or beside.get("dataset")
    name = str(inside.get("configuration") or beside.get("configuration") or "")
    if not isinstance(plans, Mapping) or not isinstance(dataset, Mapping):
        raise ModelError(
            describe(
                "The plans of this nnU-Net are missing",
                where=checkpoint.path,
                expected="`init_args` in the file, as nnU-Net v2 writes it, or plans.json and "
                "dataset.json in the results folder",
                fix="Pass the results folder, TRAINER__PLANS__CONFIGURATION, instead of the file.",
            )
        )
    known = plans.get("configurations", {})
    if name not in known:
        raise ModelError(
            describe(
                "The configuration of this nnU-Net is unknown",
                where=checkpoint.path,
                found=repr(name),
                expected=", ".join(known),
                fix="Pass the results folder under its original name, TRAINER__PLANS__CONFIGURATION.",
            )
        )
    values = _inherited(known, name)
    if values.get("previous_stage"):
        raise ModelError(
            describe(
                "A cascade of nnU-Net needs the prediction of its first stage, which limner does not make",
                where=checkpoint.path,
                found=f"configuration {name}",
                expected="3d_fullres, 3d_lowres or 2d",
            )
        )
    architecture, arguments = _architecture(values)
    mirrored = inside.get("inference_allowed_mirroring_axes")
    if "inference_allowed_mirroring_axes" not in inside:
        mirrored = range(len(values["patch_size"]))
    return Configuration(
        name, architecture, arguments, values, plans, dataset, tuple(int(axis) for axis in mirrored or ())
    )


def _inherited(known: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a configuration with what it inherits."""
    values: dict[str, Any] = dict(known[name])
    seen = {name}
    while (parent := values.pop("inherits_from", None)) in known and parent not in seen:
        seen.add(parent)
        values = {**known[parent], **values}
    return values


def _architecture(values: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the class of the network and its arguments; plans before version 2.5 name parts of them."""
    if "architecture" in values:
        given = values["architecture"]
        return str(given["network_class_name"]).rpartition(".")[2], given["arch_kwargs"]
    kind = str(values.get("UNet_class_name"))
    convs = values["n_conv_per_stage_encoder"]
    base, limit = values["UNet_base_num_features"], values["unet_max_num_features"]
    return kind, {
        "features_per_stage": [min(base * 2**stage, limit) for stage in range(len(convs))],
        "kernel_sizes": values["conv_kernel_sizes"],
        "strides": values["pool_op_kernel_sizes"],
        "n_conv_per_stage" if kind == "PlainConvUNet" else "n_blocks_per_stage": convs,
        "n_conv_per_stage_decoder": values["n_conv_per_stage_decoder"],
        "conv_bias": True,
        "norm_op": "InstanceNorm",
        "norm_op_kwargs": {"affine": True},
        "nonlin": "LeakyReLU",
    }


def _class_names(dataset: Mapping[str, Any], num_classes: int, checkpoint: Checkpoint) -> list[str]:
    """Return the names in the order of their values.

    Raises:
        ModelError: Classes are regions that overlap, or their values have gaps.
    """
    labels = {str(name): value for name, value in dict(dataset.get("labels", {})).items()}
    if all(name.isdigit() for name in labels):  # the other way round in old files
        labels = {str(name): int(value) for value, name in labels.items()}
    labels.pop("ignore", None)
    regions = [name for name, value in labels.items() if isinstance(value, (list, tuple))]
    if regions or dataset.get("regions_class_order"):
        raise ModelError(
            describe(
                "The classes of this nnU-Net are regions that overlap, which limner cannot predict",
                where=checkpoint.path,
                found=", ".join(regions or labels),
                expected="classes of which each voxel has one",
            )
        )
    ordered = sorted(labels, key=lambda name: int(labels[name]))
    if [int(labels[name]) for name in ordered] != list(range(num_classes)):
        raise ModelError(
            describe(
                "The classes of dataset.json do not fit the weights",
                where=checkpoint.path,
                found=", ".join(f"{name} {labels[name]}" for name in ordered),
                expected=f"the values 0 to {num_classes - 1}, one for each row of the scores",
            )
        )
    return ordered


def _normalization(
    configuration: Configuration, checkpoint: Checkpoint, asked: Asked
) -> tuple[Inferred[Normalization], dict[str, Inferred[Any]], dict[str, str]]:
    """Return mean and deviation, further settings, and facts in words.

    Raises:
        ModelError: limner cannot normalise so.
    """
    schemes = [str(name) for name in configuration.values["normalization_schemes"]]
    masks = set(map(bool, configuration.values.get("use_mask_for_norm") or (False,)))
    is_each = [name == "ZScoreNormalization" for name in schemes]
    own = asked.settings.get("input", {})
    if all(is_each) and len(masks) == 1:
        why = f"ZScoreNormalization of {WHERE}"
        settings: dict[str, Inferred[Any]] = {EACH: Inferred(True, why)}
        if own.get("normalize_each", True):
            settings[OVER] = _voxels(is_masked=True in masks)
        return Inferred(identity(len(schemes)), "each volume is normalised by its own"), settings, {}
    if not any(is_each) and all(name in _FIXED for name in schemes):
        return _fixed(schemes, configuration.plans)
    if "normalize_each" in own:
        fact = f"{', '.join(schemes)} in nnU-Net; you set {EACH}"
        return Inferred(identity(len(schemes)), f"you set {EACH}"), {}, {"differs from nnU-Net": fact}
    raise ModelError(
        describe(
            "limner cannot normalise volumes as this nnU-Net does",
            where=checkpoint.path,
            found=", ".join(schemes) + ", of the non-zero voxels of some channels" * (len(masks) > 1),
            expected=f"ZScoreNormalization of all channels in one way, or {', '.join(_FIXED)}",
            fix=f"--set {EACH}=true normalises each channel by all voxels instead, which gives other scores.",
        )
    )


def _voxels(*, is_masked: bool) -> Inferred[str]:
    """Return the voxels whose mean and deviation nnU-Net takes."""
    if is_masked:
        return Inferred("nonzero", f"use_mask_for_norm of {WHERE}; zeros stay 0")
    return Inferred("nonzero_box", "nnU-Net crops volumes to what is not 0 before it normalises them")


_FIXED = ("CTNormalization", "NoNormalization", "RGBTo01Normalization")
"""Schemes whose values are the same for all volumes."""


def _fixed(
    schemes: Sequence[str], plans: Mapping[str, Any]
) -> tuple[Inferred[Normalization], dict[str, Inferred[Any]], dict[str, str]]:
    properties = plans.get("foreground_intensity_properties_per_channel", {})
    mean, std, ranges = [], [], []
    for channel, scheme in enumerate(schemes):
        known = properties.get(str(channel), properties.get(channel, {}))
        is_ct = scheme == "CTNormalization"
        mean.append(float(known["mean"]) if is_ct else 0.0)
        std.append(max(float(known["std"]), 1e-8) if is_ct else 255.0 if scheme.startswith("RGB") else 1.0)
        limits = (float(known["percentile_00_5"]), float(known["percentile_99_5"])) if is_ct else UNLIMITED
        ranges.append(limits)
    why = f"{', '.join(schemes)} of {WHERE}"
    settings: dict[str, Inferred[Any]] = {EACH: Inferred(False, why)}
    if any(limits != UNLIMITED for limits in ranges):
        settings["input.clip"] = Inferred(tuple(ranges), f"percentiles 0.5 and 99.5 of {WHERE}")
    return Inferred(Normalization(tuple(mean), tuple(std)), why), settings, {}
