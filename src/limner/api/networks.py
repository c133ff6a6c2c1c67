"""`limner networks`: the architectures that can be trained, with what they cost."""

from dataclasses import dataclass
from typing import Any

import torch

from limner.networks import NETWORKS, NetworkEntry, build_network

NUM_CLASSES = 19
"""Classes that parameters are stated for, those of Cityscapes."""
IN_CHANNELS = 3
"""Image channels that parameters are stated for."""


@dataclass(frozen=True)
class NetworkRow:
    """One variant of one architecture.

    Attributes:
        name: What `build_network` and `--network` call it.
        variant: What tells the variant apart, or an empty string.
        options: The options that make it.
        parameters: With `NUM_CLASSES` classes and `IN_CHANNELS` channels, side heads included.
        title: The name as the paper writes it.
        paper: Title of the paper.
        year: Year of the paper.
        url: Where the paper is.
        code: The authors' code or the reference implementation.
        licence: Its licence.
        tasks: What it can be trained for.
        spatial_dims: The dimensions it can be built in.
        pretrained: Whether its encoder has published weights.
        good_for: When to choose it.
    """

    name: str
    variant: str
    options: dict[str, Any]
    parameters: int
    title: str
    paper: str
    year: int
    url: str
    code: str
    licence: str
    tasks: tuple[str, ...]
    spatial_dims: tuple[int, ...]
    pretrained: bool
    good_for: str


def networks() -> list[NetworkRow]:
    """List every architecture and its usual variants, the default variant of each first."""
    return [
        _row(name, entry, variant, dict(options))
        for name, entry in NETWORKS.items()
        for variant, options in entry.variants.items()
    ]


def _row(name: str, entry: NetworkEntry, variant: str, options: dict[str, Any]) -> NetworkRow:
    return NetworkRow(
        name=name,
        variant=variant,
        options=options,
        parameters=_count_parameters(name, options),
        title=entry.title,
        paper=entry.paper,
        year=entry.year,
        url=entry.url,
        code=entry.code,
        licence=entry.licence,
        tasks=entry.tasks,
        spatial_dims=entry.spatial_dims,
        pretrained=entry.pretrained,
        good_for=entry.good_for,
    )


def _count_parameters(name: str, options: dict[str, Any]) -> int:
    with torch.device("meta"):  # shapes without memory
        network = build_network(name, num_classes=NUM_CLASSES, in_channels=IN_CHANNELS, **options)
    return sum(parameter.numel() for parameter in network.parameters())
