"""Blocks of a network: the parts whose weights are gathered, one after another, when processes share a model.

A block is a repeated part of a network, such as a layer of a transformer or a bottleneck of a ResNet. It has
to be called as a module, since its weights are there only between its call and its return: so elements of
``nn.ModuleList`` and ``nn.Sequential`` are blocks if they have layers of their own, and single layers, whose
weights other modules may read, are not.
"""

from collections import Counter

from torch import nn

LARGEST_PART = 1 / 4
"""Repeated parts with more of all parameters than this are divided further if they have blocks inside."""

SMALLEST_PART = 1 / 256
"""Parts with fewer of all parameters than this are not worth an exchange of their own."""

CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.Sequential)
"""Modules that others take apart, instead of calling them."""


def find_blocks(module: nn.Module) -> list[nn.Module]:
    """Return the blocks of a network, none of which is inside another or shares a parameter with the rest."""
    counts = Counter(id(p) for _, p in module.named_parameters(remove_duplicate=False))
    shared = {key for key, count in counts.items() if count > 1}
    return _blocks_inside(module, num_parameters(module), shared)


def num_gathered(module: nn.Module) -> int:
    """Return the most parameters that are gathered at once.

    They are those outside of blocks, and of two blocks: while one computes, the next one is gathered.
    """
    sizes = sorted(map(num_parameters, find_blocks(module)))
    return num_parameters(module) - sum(sizes[:-2])


def num_parameters(module: nn.Module) -> int:
    """Return the number of parameters of a module."""
    return sum(p.numel() for p in module.parameters())


def _blocks_inside(module: nn.Module, total: int, shared: set[int]) -> list[nn.Module]:
    found: list[nn.Module] = []
    for child in module.children():
        inside = _blocks_inside(child, total, shared)
        is_repeated = isinstance(module, (nn.ModuleList, nn.Sequential))
        if is_repeated and _can_be_block(child, shared) and num_parameters(child) >= SMALLEST_PART * total:
            is_small = num_parameters(child) <= LARGEST_PART * total
            inside = [child] if is_small or not inside else inside
        found += inside
    return found


def _can_be_block(module: nn.Module, shared: set[int]) -> bool:
    is_whole = any(module.children()) and not isinstance(module, CONTAINERS)
    return is_whole and not any(id(p) in shared for p in module.parameters())
