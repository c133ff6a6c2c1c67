"""`limner networks`: the available networks and their cost."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from limner.analysis.network_cost import count_multiply_adds, count_parameters, time_forward
from limner.core.progress import Track, silent
from limner.layers.training_progress import notify_progress
from limner.networks import NETWORKS, NetworkEntry, build_network
from limner.networks.weightless import weightless
from limner.storage.whole_files import write_whole
from limner.tasks import TASKS

NUM_CLASSES = 19
"""Number of classes for the listed parameters, that of Cityscapes."""
IN_CHANNELS = 3
"""Number of image channels for the listed parameters."""
SIZES = {2: (512, 512), 3: (64, 64, 64)}
"""Number of spatial dimensions -> input size for the listed multiply-adds and times."""

COSTS = Path(__file__).parent / "network_costs.json"
"""Parameters and multiply-adds of each variant: counting one takes a second, all of them a minute or two."""


@dataclass(frozen=True)
class NetworkRow:
    """One variant of a network.

    Attributes:
        name: Name for `build_network` and `--network`.
        variant: Name of the variant, or an empty string.
        options: Network options of the variant.
        parameters: Number with `NUM_CLASSES` classes and `IN_CHANNELS` channels, including auxiliary heads.
        multiply_adds: Number for predicting one input of `SIZES`.
        seconds: Prediction time of such an input on this CPU with all threads; None if not measured.
        title: The name as the paper writes it.
        paper: Title of the paper.
        year: Year of the paper.
        family: Kind of network, such as ``context`` or ``transformer``.
        url: URL of the paper.
        code: URL of the authors' code or the reference implementation.
        licence: Licence of that code.
        tasks: Supported tasks.
        spatial_dims: Supported numbers of spatial dimensions.
        pretrained: Whether its encoder has published weights.
        good_for: When to choose it.
        remark: Why the number of parameters differs from the reference, or an empty string.
    """

    name: str
    variant: str
    options: dict[str, Any]
    parameters: int
    multiply_adds: int
    seconds: float | None
    title: str
    paper: str
    year: int
    family: str
    url: str
    code: str
    licence: str
    tasks: tuple[str, ...]
    spatial_dims: tuple[int, ...]
    pretrained: bool
    good_for: str
    remark: str


def networks(*, timed: bool = False, track: Track = silent) -> list[NetworkRow]:
    """List every network and its usual variants, the default variant first.

    Args:
        timed: Measure prediction times on the CPU, which takes a few seconds per network.
        track: Shows progress.
    """
    wanted = [
        (name, entry, variant, dict(options))
        for name, entry in NETWORKS.items()
        for variant, options in entry.variants.items()
    ]
    return [_row(*each, timed=timed) for each in track(wanted, "Measuring", len(wanted))]


def _row(name: str, entry: NetworkEntry, variant: str, options: dict[str, Any], *, timed: bool) -> NetworkRow:
    size = SIZES[entry.spatial_dims[0]]
    known = _known_costs().get(_key(name, variant))
    parameters, multiply_adds = known or count_costs(name, variant)
    return NetworkRow(
        name=name,
        variant=variant,
        options=options,
        parameters=parameters,
        multiply_adds=multiply_adds,
        seconds=time_forward(_build(name, options), torch.zeros(1, IN_CHANNELS, *size)) if timed else None,
        title=entry.title,
        paper=entry.paper,
        year=entry.year,
        family=entry.family,
        url=entry.url,
        code=entry.code,
        licence=entry.licence,
        tasks=tuple(name for name, task in TASKS.items() if task.accepts(entry.output)),
        spatial_dims=entry.spatial_dims,
        pretrained=entry.pretrained,
        good_for=entry.good_for,
        remark=entry.remark,
    )


def count_costs(name: str, variant: str) -> tuple[int, int]:
    """Count parameters and multiply-adds of one variant on the meta device."""
    entry = NETWORKS[name]
    with weightless():
        network = _build(name, dict(entry.variants[variant]))
        image = torch.zeros(1, IN_CHANNELS, *SIZES[entry.spatial_dims[0]])
    return count_parameters(network), count_multiply_adds(network, image)


def write_costs(*changed: str, path: Path = COSTS) -> None:
    """Count the variants that are not in the file yet, and those of changed networks.

    Args:
        changed: Networks whose variants are counted again.
        path: The file, which is part of limner.
    """
    known = json.loads(path.read_text("utf-8"))
    lines = []
    for name, entry in NETWORKS.items():
        for variant in entry.variants:
            key = _key(name, variant)
            costs = known[key] if key in known and name not in changed else count_costs(name, variant)
            lines.append(f"  {json.dumps(key)}: {json.dumps(costs)}")
    write_whole(path, "{\n" + ",\n".join(lines) + "\n}\n")


@cache
def _known_costs() -> dict[str, tuple[int, int]]:
    return {key: tuple(values) for key, values in json.loads(COSTS.read_text("utf-8")).items()}


def _key(name: str, variant: str) -> str:
    return f"{name}/{variant}" if variant else name


def _build(name: str, options: dict[str, Any]) -> nn.Module:
    network = build_network(name, num_classes=NUM_CLASSES, in_channels=IN_CHANNELS, **options)
    notify_progress(network, 1.0)  # costs are those of the trained network
    return network
