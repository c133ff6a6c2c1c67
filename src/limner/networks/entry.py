"""One row of the table of networks."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from limner.core.outputs import OutputKind


@dataclass(frozen=True)
class NetworkEntry:
    """One architecture.

    Attributes:
        build: Called with keyword arguments ``num_classes``, ``in_channels``, ``spatial_dims`` and the
            network's own options; returns the module with random weights (or pretrained encoder
            weights where ``pretrained`` asks for them).
        title: The name as the paper writes it.
        paper: Title of the paper.
        year: Year of the paper.
        url: Where the paper is.
        code: The authors' code, or the reference implementation, or an empty string.
        licence: Licence of that code.
        output: The output kind it emits.
        tasks: Names in `TASKS` it can be trained for.
        spatial_dims: The dimensions it can be built in.
        good_for: One sentence: when to choose it.
    """

    build: Callable[..., nn.Module]
    title: str
    paper: str
    year: int
    url: str
    output: OutputKind
    tasks: tuple[str, ...] = ("semantic",)
    spatial_dims: tuple[int, ...] = (2,)
    code: str = ""
    licence: str = ""
    good_for: str = ""
