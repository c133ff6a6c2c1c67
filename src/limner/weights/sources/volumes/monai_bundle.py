"""What MONAI's bundles say about a network: its arguments, classes, preprocessing and sliding window.

Expressions in a configuration (``$...``) are never evaluated; references (``@name``) are followed. limner's
arrays have the axes (depth, height, width) = (z, y, x), MONAI's (x, y, z): volumes are turned so that both
are the same, by the codes of the axes in reverse.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from limner.core.errors import ModelError, describe
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import Asked, Conclusions, Inferred, NetworkShape, Normalization
from limner.weights.sources.facts.volume_conclusions import EACH, OVER, conclude_volumes, identity

USUAL_ORIENTATION = "SAR"
"""RAS along the axes x, y, z, as in MONAI's tutorials and bundles."""

USUAL_WINDOW = 96
"""Voxels along a side of the window, if unknown."""

_HARMLESS = {
    *("LoadImaged", "LoadImageD", "EnsureChannelFirstd", "EnsureChannelFirstD", "EnsureTyped", "EnsureTypeD"),
    *("ToTensord", "CastToTyped", "AddChanneld", "AsChannelFirstd", "ToDeviced", "SqueezeDimd"),
    *("CropForegroundd", "SpatialPadd", "DivisiblePadd", "BorderPadd"),
}
"""Transforms that change no value that the network sees inside the image."""


def network_arguments(checkpoint: Checkpoint, kind: str) -> Mapping[str, Any]:
    """Return the arguments of the bundle's network of a class that are plain values; else empty."""
    for config in _configs(checkpoint):
        for key in ("network_def", "network", "net"):
            found = _follow(config.get(key), config)
            if isinstance(found, Mapping) and str(found.get("_target_", "")).rpartition(".")[
                2
            ].casefold() in (
                kind.casefold(),
                kind.casefold() + "vae",
            ):
                arguments = {name: _follow(value, config) for name, value in found.items()}
                return {name: value for name, value in arguments.items() if not _is_expression(value)}
    return {}


def conclude_monai(checkpoint: Checkpoint, shape: NetworkShape, asked: Asked) -> Conclusions:
    """Return everything that the tensors do not contain, from the bundle if there is one.

    Raises:
        ConfigError: The normalisation is unknown, and the caller did not set it.
        ModelError: The bundle prepares images in a way that limner lacks.
    """
    side = (USUAL_WINDOW,) * shape.spatial_dims
    window = Inferred(side, "unknown, so usual; others with --set inference.window")
    settings: dict[str, Inferred[Any]] = {
        "input.crop_size": window,
        "inference.window": window,
        "inference.padding": Inferred("mean", "MONAI pads images smaller than its window with zeros"),
    }
    if shape.spatial_dims == 3:
        why = "assumed: volumes turned to RAS with axes x, y, z; none with --set input.orientation=null"
        settings["input.orientation"] = Inferred(USUAL_ORIENTATION, why)
    normalization, facts = None, {"scores": "assumed: a softmax over classes"}
    if "metadata" in checkpoint.documents:
        _refuse_sigmoids(checkpoint, shape)
        steps = list(_transforms(checkpoint))
        normalization = _intensities(steps, checkpoint, shape, asked, settings)
        settings |= _grid(steps, shape) | _window(checkpoint, shape)
        facts = {"blending of windows": "Gaussian; MONAI's default is constant"}
        if any(name == "Spacingd" for name, _ in steps):
            facts["resampling"] = "MONAI's bundles interpolate linearly, limner with cubic splines"
    return conclude_volumes(
        checkpoint,
        shape,
        asked,
        normalization=normalization,
        names=_class_names(checkpoint, shape.num_classes),
        settings=settings,
        facts=facts,
    )


def _configs(checkpoint: Checkpoint) -> Iterator[Mapping[str, Any]]:
    for name in ("inference", "train"):
        if isinstance(checkpoint.documents.get(name), Mapping):
            yield checkpoint.documents[name]


def _is_expression(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("$", "@", "%"))


def _follow(value: Any, config: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    """Return what a reference ``@name`` or ``@name#inner`` stands for; expressions as they are."""
    for _ in range(len(config) + 1):
        if not isinstance(value, str) or not value.startswith("@"):
            return value
        found: Any = config
        for key in value[1:].replace("::", "#").split("#"):
            if isinstance(found, Mapping):
                found = found.get(key, value)
            elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
                found = found[int(key)]
            else:
                return value
        if found == value:
            return value
        value = found
    return value


def _transforms(checkpoint: Checkpoint) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the name and arguments of each transform before prediction.

    Raises:
        ModelError: They are a program.
    """
    for config in _configs(checkpoint):
        found = _follow(config.get("preprocessing"), config)
        steps = _follow(found.get("transforms"), config) if isinstance(found, Mapping) else found
        if steps is None:
            continue
        if not isinstance(steps, list):
            raise ModelError(
                describe(
                    "The bundle's preprocessing is a program, which limner does not run",
                    where=checkpoint.path,
                    found=str(steps)[:100],
                    expected="a list of transforms under preprocessing: transforms:",
                    fix="Import models/model.pt itself, and set the normalisation with --set.",
                )
            )
        for step in steps:
            step = _follow(step, config)
            if isinstance(step, Mapping) and "_target_" in step and step.get("_disabled_", False) is not True:
                yield (
                    str(step["_target_"]).rpartition(".")[2],
                    {k: _follow(v, config) for k, v in step.items()},
                )
        return


def _intensities(
    steps: Sequence[tuple[str, Mapping[str, Any]]],
    checkpoint: Checkpoint,
    shape: NetworkShape,
    asked: Asked,
    settings: dict[str, Inferred[Any]],
) -> Inferred[Normalization] | None:
    """Return mean and deviation, and add the range of values; None if the caller sets them.

    Raises:
        ModelError: A transform is one that limner lacks.
    """
    own = asked.settings.get("input", {})
    known = None
    for name, arguments in steps:
        if name in _HARMLESS or name in _SPATIAL:
            continue
        if name not in _INTENSITIES and name.startswith(("Resize", "Zoom", "Flip", "Rotate", "Transpose")):
            raise _refused(name, checkpoint)
        if "mean" in own or "normalize_each" in own:
            continue
        if name not in _INTENSITIES or known is not None:
            raise _refused(name, checkpoint)
        known = _INTENSITIES[name](arguments, shape.in_channels, settings)
        if known is None:
            raise _refused(f"{name} with {dict(arguments)}", checkpoint)
    if known is None and not own:
        return Inferred(identity(shape.in_channels), "the bundle changes no values")
    return known


def _scale_range(
    arguments: Mapping[str, Any], channels: int, settings: dict[str, Inferred[Any]]
) -> Inferred[Normalization] | None:
    """Return a fixed range as mean and deviation: (x - low) / (high - low), scaled to another range."""
    values = [arguments.get(key) for key in ("a_min", "a_max", "b_min", "b_max")]
    low, high, to_low, to_high = values[0], values[1], values[2], values[3]
    if not all(isinstance(value, (int, float)) for value in (low, high)) or low == high:
        return None
    assert isinstance(low, (int, float)) and isinstance(high, (int, float))
    to_low = to_low if isinstance(to_low, (int, float)) else 0.0
    to_high = to_high if isinstance(to_high, (int, float)) else 1.0
    deviation = (high - low) / (to_high - to_low)
    if arguments.get("clip"):
        settings["input.clip"] = Inferred(
            ((float(low), float(high)),) * channels, "the bundle's ScaleIntensityRanged"
        )
    mean = low - to_low * deviation
    return Inferred(
        Normalization((float(mean),) * channels, (float(deviation),) * channels),
        "the bundle's ScaleIntensityRanged",
    )


def _normalize(
    arguments: Mapping[str, Any], channels: int, settings: dict[str, Inferred[Any]]
) -> Inferred[Normalization] | None:
    """Return the normalisation of each volume by its own mean and deviation, or by fixed ones."""
    if channels > 1 and not arguments.get("channel_wise"):
        return None
    why = "the bundle's NormalizeIntensityd"
    mean, deviation = arguments.get("subtrahend"), arguments.get("divisor")
    if mean is None and deviation is None:
        settings[EACH] = Inferred(True, why)
        if arguments.get("nonzero"):
            settings[OVER] = Inferred("nonzero_of_channel", f"{why} with nonzero")
        return Inferred(identity(channels), "each volume is normalised by its own")
    values = [_per_channel(mean, channels), _per_channel(deviation, channels)]
    if arguments.get("nonzero"):
        return None
    if values[0] is None or values[1] is None:
        return None
    return Inferred(Normalization(values[0], values[1]), why)


def _per_channel(value: Any, channels: int) -> tuple[float, ...] | None:  # noqa: ANN401 - a JSON value
    if isinstance(value, (int, float)):
        return (float(value),) * channels
    if isinstance(value, list) and len(value) == channels:
        return tuple(float(each) for each in value)
    return None


_Reader = Callable[[Mapping[str, Any], int, dict[str, Inferred[Any]]], Inferred[Normalization] | None]
_INTENSITIES: Mapping[str, _Reader] = {
    "ScaleIntensityRanged": _scale_range,
    "NormalizeIntensityd": _normalize,
}
"""Transform of values -> what reads it."""

_SPATIAL = ("Orientationd", "Spacingd")


def _grid(steps: Sequence[tuple[str, Mapping[str, Any]]], shape: NetworkShape) -> dict[str, Inferred[Any]]:
    """Return orientation and spacing."""
    grid: dict[str, Inferred[Any]] = {}
    for name, arguments in steps:
        if name == "Orientationd" and isinstance(arguments.get("axcodes"), str) and shape.spatial_dims == 3:
            codes = str(arguments["axcodes"]).upper()
            grid["input.orientation"] = Inferred(
                codes[::-1], f"{codes} along x, y, z in the bundle's Orientationd"
            )
        if name == "Spacingd":
            spacing = _per_channel(arguments.get("pixdim"), shape.spatial_dims)
            if spacing is not None:
                grid["input.spacing_mm"] = Inferred(spacing, "the bundle's Spacingd")
                grid["input.resample"] = Inferred(True, "the bundle's Spacingd")
    return grid


def _window(checkpoint: Checkpoint, shape: NetworkShape) -> dict[str, Inferred[Any]]:
    for config in _configs(checkpoint):
        inferer = _follow(config.get("inferer"), config)
        size = _follow(inferer.get("roi_size"), config) if isinstance(inferer, Mapping) else None
        if (
            isinstance(size, list)
            and len(size) == shape.spatial_dims
            and all(isinstance(n, int) for n in size)
        ):
            window = Inferred(tuple(size), "roi_size of the bundle's inferer")
            overlap = inferer.get("overlap", 0.25)
            known: dict[str, Inferred[Any]] = {"input.crop_size": window, "inference.window": window}
            if isinstance(overlap, (int, float)):
                known["inference.overlap"] = Inferred(float(overlap), "the bundle's inferer")
            return known
    return {}


def _class_names(checkpoint: Checkpoint, num_classes: int) -> Inferred[Sequence[str]] | None:
    formats = checkpoint.documents.get("metadata", {}).get("network_data_format", {})
    outputs = formats.get("outputs", {}) if isinstance(formats, Mapping) else {}
    for output in outputs.values() if isinstance(outputs, Mapping) else ():
        names = output.get("channel_def") if isinstance(output, Mapping) else None
        if isinstance(names, Mapping) and len(names) == num_classes:
            ordered = [str(names[key]) for key in sorted(names, key=int)]
            return Inferred(ordered, "channel_def of the bundle's metadata.json")
    return None


def _refuse_sigmoids(checkpoint: Checkpoint, shape: NetworkShape) -> None:
    """Refuse classes that overlap: each has a sigmoid of its own.

    Raises:
        ModelError: The bundle's postprocessing has a sigmoid, and there are several classes.
    """
    if shape.num_classes == 1:
        return
    for config in _configs(checkpoint):
        found = _follow(config.get("postprocessing"), config)
        steps = _follow(found.get("transforms"), config) if isinstance(found, Mapping) else found
        for step in steps if isinstance(steps, list) else ():
            if isinstance(step, Mapping) and step.get("sigmoid") is True:
                raise ModelError(
                    describe(
                        "The classes of this bundle overlap, which limner cannot predict",
                        where=checkpoint.path,
                        found=f"a sigmoid for each of {shape.num_classes} classes",
                        expected="a softmax: classes of which each voxel has one",
                    )
                )


def _refused(name: str, checkpoint: Checkpoint) -> ModelError:
    return ModelError(
        describe(
            "limner cannot prepare volumes as this bundle does",
            where=checkpoint.path,
            found=name,
            expected=", ".join((*_INTENSITIES, *_SPATIAL)) + ", and transforms that change no values",
            fix=f"For another normalisation, which gives other scores: --set {EACH}=true",
        )
    )
