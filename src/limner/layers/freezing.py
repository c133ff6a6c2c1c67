"""Parts of a network that training leaves as they are."""

from collections.abc import Iterable, Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from limner.core.errors import ConfigError, did_you_mean


def frozen_modules(
    network: nn.Module, prefixes: Iterable[str], *, norms: bool = False
) -> Iterator[nn.Module]:
    """Yield the modules that stay as they are.

    Args:
        network: The network.
        prefixes: Names of modules or parameters in it, such as ``backbone.layer1``.
        norms: Whether every batch normalisation is frozen too.
    """
    starts = tuple(prefixes)
    for name, module in network.named_modules():
        if _is_inside(name, starts) or (norms and isinstance(module, _BatchNorm)):
            yield module


def freeze(network: nn.Module, prefixes: Iterable[str], *, norms: bool = False) -> None:
    """Take parameters out of training; their modules are to be kept in evaluation mode, see `rest`.

    Raises:
        ConfigError: A prefix is the name of nothing in the network.
    """
    starts = tuple(prefixes)
    names = [name for name, _ in network.named_parameters()]
    for start in starts:
        if not any(_is_inside(name, (start,)) for name in names):
            parts = sorted({name.partition(".")[0] for name in names})
            raise ConfigError(
                f"network.freeze: no parameter of the network starts with {start!r}"
                f"{did_you_mean(start, parts)}. Its parts are: {', '.join(parts)}."
            )
    for name, parameter in network.named_parameters():
        if _is_inside(name, starts):
            parameter.requires_grad_(False)
    for module in frozen_modules(network, (), norms=norms):
        module.requires_grad_(False)


def rest(network: nn.Module, prefixes: Iterable[str], *, norms: bool = False) -> None:
    """Put the frozen modules into evaluation mode: no dropout, and running statistics that do not move."""
    for module in list(frozen_modules(network, prefixes, norms=norms)):
        module.eval()


def _is_inside(name: str, starts: tuple[str, ...]) -> bool:
    plain = (start.removeprefix("network.") for start in starts)
    return any(name == start or name.startswith(f"{start}.") for start in plain)
