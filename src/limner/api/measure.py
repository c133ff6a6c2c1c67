"""`limner.measure()`: cost of a network or a trained model at one size, on one device."""

from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from torch import nn

from limner.analysis.network_cost import count_multiply_adds, count_parameters, parameters_by_part
from limner.analysis.network_speed import AS_THEY_ARE, NetworkSpeed, measure_speed
from limner.api.networks import IN_CHANNELS, NUM_CLASSES, SIZES
from limner.core.errors import ConfigError
from limner.core.plan import ResizePlan
from limner.devices.device import choose_device
from limner.devices.machine import examine
from limner.devices.memory import is_out_of_memory
from limner.inference.load_predictor import load_predictor
from limner.layers.input_normalization import InputNormalization
from limner.networks import NETWORKS, build_network, network_settings
from limner.storage.user_paths import user_path
from limner.transforms.fitted_size import fitted_size

MOST_LAYERS = 2**16
"""Maximum number of classes, and of channels of an image: what 16 bits can number."""


@dataclass(frozen=True)
class Measured:
    """Measured cost of a network.

    Attributes:
        name: Name of the network, or the model folder.
        size: Spatial size of the images.
        network_size: Spatial size of the network's input: `size`, unless the model's plan resizes images.
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
    network_size: tuple[int, ...]
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
        size: Spatial size of the images; defaults to 512x512, or 64x64x64 for volumes. A model resizes them
            as its plan says.
        batch: Batch size.
        num_classes: Number of classes of a named network; a model has its own.
        channels: Number of channels of a named network; a model has its own.
        device: ``auto``, or a PyTorch device name.
        precision: ``float32``, ``bfloat16`` or ``float16``.

    Raises:
        UnknownNameError: The target is neither a network nor a folder.
        ModelError: The model cannot be loaded.
        ConfigError: The size, the batch size or another number is out of range, or does not fit in memory.
    """
    chosen = choose_device(device)
    for what, number in (("classes", num_classes), ("channels", channels)):
        if not 1 <= number <= MOST_LAYERS:
            raise ConfigError(f"The number of {what} must be from 1 to {MOST_LAYERS:,}; found {number}.")
    model = _model(target, device, num_classes, channels)
    size = _checked_size(size, model.spatial_dims, batch)
    largest = max(prod(size), prod(model.network_size(size)))
    _refuse_too_large(batch * model.channels * largest, device=str(chosen))
    try:
        return _measured(str(target), model, size=size, batch=batch, device=chosen, precision=precision)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ConfigError(
            f"The memory of the device is too small for a batch of {batch} at {size}: "
            f"{str(error).partition(chr(10))[0]} Choose a smaller --size or --batch."
        ) from None


def _refuse_too_large(num_values: int, *, device: str) -> None:
    """Refuse an input that alone exceeds the memory of the device."""
    needed, total = 4 * num_values, examine(device).memory.total
    if needed > total:
        raise ConfigError(
            f"An input of this size takes {needed // 2**30:,} GiB, and the device has {total / 2**30:,.0f} "
            "GiB. Choose a smaller --size or --batch."
        )


def _measured(
    name: str, model: "_Model", *, size: tuple[int, ...], batch: int, device: torch.device, precision: str
) -> Measured:
    num_classes, channels = model.num_classes, model.channels
    network = model.network.to(device).eval()
    # Measure speed first, because the peak memory of a process never decreases.
    speed = measure_speed(
        network,
        model.normalization.to(device),
        size=size,
        channels=channels,
        batch=batch,
        device=device,
        precision=precision,
        resize=model.resize,
    )
    network_size = model.network_size(size)
    blank = torch.zeros(batch, channels, *network_size, device=device)
    return Measured(
        name=name,
        size=size,
        network_size=network_size,
        batch=batch,
        channels=channels,
        num_classes=num_classes,
        device=examine(str(device)).name,
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
    resize: ResizePlan = AS_THEY_ARE

    def network_size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Return the size that the network gets for images of a size."""
        return size if self.resize.is_noop else fitted_size(size[0], size[1], self.resize)


def _model(target: str | Path, device: str, num_classes: int, channels: int) -> _Model:
    """Return a trained model, or a network by name with that many classes and channels."""
    if user_path(target).is_dir():
        found = load_predictor(target, device=device, precision="float32").model
        own = found.plan.input
        return _Model(
            found.network,
            found.normalization,
            found.labels.num_classes,
            found.plan.network_channels,
            int(own.spatial_dims),
            found.plan.resize_for(found.plan.inference),
        )
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
