"""One row of the table of networks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from limner.core.config import Config
from limner.core.outputs import OutputKind

Family = Literal["encoder-decoder", "context", "real time", "medical", "transformer", "classifier"]
"""Main idea of a network: skip connections, wide context, speed, deep supervision, attention, or pooling."""


@dataclass(frozen=True)
class NetworkEntry:
    """One architecture.

    Attributes:
        build: Constructor, called with the network's `options` and the keywords ``num_classes`` and
            ``in_channels``, with ``spatial_dims`` where it can be built in 3D and ``pretrained`` where it has
            an encoder; returns the module.
        options: The settings class of the network's own options.
        title: Name as in the paper.
        paper: Title of the paper.
        year: Year of the paper.
        family: Its family.
        url: URL of the paper.
        output: Output kind that it returns.
        loss: Options of the loss of its output kind, where they differ from the defaults.
        spatial_dims: Supported numbers of spatial dimensions.
        pretrained: Whether it has an encoder with pretrained weights.
        takes_topology: Whether its stages, kernels and strides are planned for the voxels of the data, see
            `nnunet_topology`.
        is_probe: Whether the encoder stays as it is, and only the last layer is fitted, to its features.
        code: The authors' code, or the reference implementation, or an empty string.
        licence: Licence of that code.
        good_for: One sentence: when to choose it.
        remark: One sentence: where the number of parameters differs from the reference's, and why.
        variants: Name -> options of the variants that `limner networks` lists, the default one first.
    """

    build: Callable[..., nn.Module]
    options: type[Config]
    title: str
    paper: str
    year: int
    family: Family
    url: str
    output: OutputKind
    loss: Mapping[str, Any] = field(default_factory=dict)
    spatial_dims: tuple[int, ...] = (2,)
    pretrained: bool = False
    takes_topology: bool = False
    is_probe: bool = False
    code: str = ""
    licence: str = ""
    good_for: str = ""
    remark: str = ""
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"": {}})
