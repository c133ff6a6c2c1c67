"""`limner.measure()`: cost of a network or a trained model at one size, on one device."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from limner.analysis.network_cost import count_multiply_adds, count_parameters, parameters_by_part
from limner.analysis.network_speed import NetworkSpeed, measure_speed
from limner.api.networks import IN_CHANNELS, NUM_CLASSES, SIZES, network_settings
from limner.core.errors import ConfigError
from limner.devices.device import choose_device
from limner.devices.machine import examine
from limner.inference.load_predictor import load_predictor
from limner.layers.input_normalization import InputNormalization
from limner.networks import NETWORKS, build_network
from limner.storage.user_paths import user_path


@dataclass(frozen=True)
class Measured:
    """Measured cost of a network.

    Attributes:
        name: Name of the network, or the model folder.
        size: Spatial size of the input.
        batch: Batch size.
        channels: Number of image channels.
        num_classes: Number of classes.
        device: Name of the device.
        precision: Number format of the computation.
        parameters: Number of parameters of the network.
        parts: Part of the network -> number of parameters.
        multiply_adds: Number of multiply-adds for the batch.
        speed: Times and memory.
    """

    name: str
    size: tuple[int, ...]
    batch: int
    channels: int
    num_classes: int
    device: str
    precision: str
    parameters: int
    parts: dict[str, int]
    multiply_adds: int
    speed: NetworkSpeed


def measure(
    target: str | Path,
    *,
    size: tuple[int, ...] | None = None,
    batch: int = 1,
    num_classes: int = NUM_CLASSES,
    channels: int = IN_CHANNELS,
    device: str = "auto",
    precision: str = "float32",
) -> Measured:
    """Count parameters and multiply-adds, and time prediction.

    Args:
        target: A name in `limner networks` (variants such as ``pspnet/resnet18c``), a model folder or a run.
        size: Spatial size of the input; defaults to 512x512, or 64x64x64 for volumes.
        batch: Batch size.
        num_classes: Number of classes of a named network; a model has its own.
        channels: Number of channels of a named network; a model has its own.
        device: ``auto``, or a PyTorch device name.
        precision: ``float32``, ``bfloat16`` or ``float16``.

    Raises:
        UnknownNameError: The target is neither a network nor a folder.
        ModelError: The model cannot be loaded.
        ConfigError: The size or the batch size is invalid.
    """
    chosen = choose_device(device)
    model = _model(target, device, num_classes, channels)
    num_classes, channels = model.num_classes, model.channels
    size = _checked_size(size, model.spatial_dims, batch)
    network = model.network.to(chosen).eval()
    # Measure speed first, because the peak memory of a process never decreases.
    speed = measure_speed(
        network,
        model.normalization.to(chosen),
        size=size,
        channels=channels,
        batch=batch,
        device=chosen,
        precision=precision,
    )
    blank = torch.zeros(batch, channels, *size, device=chosen)
    return Measured(
        name=str(target),
        size=size,
        batch=batch,
        channels=channels,
        num_classes=num_classes,
        device=examine(str(chosen)).name,
        precision=precision,
        parameters=count_parameters(network),
        parts=parameters_by_part(network),
        multiply_adds=count_multiply_adds(network, blank),
        speed=speed,
    )


@dataclass(frozen=True)
class _Model:
    """A network, and what it takes."""

    network: nn.Module
    normalization: nn.Module
    num_classes: int
    channels: int
    spatial_dims: int


def _model(target: str | Path, device: str, num_classes: int, channels: int) -> _Model:
    """Return a trained model, or a network by name with that many classes and channels."""
    if user_path(target).is_dir():
        found = load_predictor(target, device=device, precision="float32").model
        own = found.plan.input
        dims = int(own.spatial_dims)
        return _Model(found.network, found.normalization, found.labels.num_classes, own.channels, dims)
    network, dims = _named(str(target), num_classes, channels)
    normalization = InputNormalization((128.0,) * channels, (64.0,) * channels)
    return _Model(network, normalization, num_classes, channels, dims)


def _named(name: str, num_classes: int, channels: int) -> tuple[nn.Module, int]:
    settings = network_settings(name)["network"]
    dims = NETWORKS[settings["name"]].spatial_dims[0]
    options = settings.get("options", {})
    network = build_network(
        settings["name"], num_classes=num_classes, in_channels=channels, spatial_dims=dims, **options
    )
    return network, dims


def _checked_size(size: tuple[int, ...] | None, dims: int, batch: int) -> tuple[int, ...]:
    if batch < 1:
        raise ConfigError(f"The batch size must be at least 1; found {batch}.")
    if size is None:
        return SIZES[dims]
    if len(size) != dims:
        raise ConfigError(
            f"This network takes {dims}D input, so the size needs {dims} numbers; found {size}."
        )
    return size
