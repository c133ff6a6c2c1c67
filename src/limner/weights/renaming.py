"""Conversion of another project's tensor names to limner's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

Rule = tuple[str, str]
"""A regular expression and its replacement; a project's rules are applied in order."""

PART = "@"
"""Separator after the name of a tensor that is split into pieces; what follows gives the order of pieces."""


@dataclass(frozen=True)
class Naming:
    """A project's names of the tensors of an architecture.

    Attributes:
        title: Name of the project.
        sign: Regular expression that matches some name in all its checkpoints, and in no other project's.
        rules: Rules for each name, applied in order.
        pieces: Number of pieces of a split tensor.
        unused: Regular expression of original names that prediction does not need, such as those of a loss.
    """

    title: str
    sign: str
    rules: tuple[Rule, ...]
    pieces: int = 3
    unused: str = r"(?!)"


@dataclass(frozen=True)
class Renamed:
    """Result of renaming.

    Attributes:
        tensors: Tensors by limner's names; names that match no rule are unchanged.
        theirs: Our name -> original name; of several pieces, the first.
        unused: Original names that were omitted.
    """

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    theirs: dict[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()


def rename(tensors: Mapping[str, torch.Tensor], naming: Naming) -> Renamed:
    """Rename tensors to limner's names, and concatenate those that are split into pieces.

    Tensors with a missing piece are omitted, so that they are reported as missing.
    """
    unused = tuple(sorted(name for name in tensors if re.search(naming.unused, name)))
    whole: dict[str, torch.Tensor] = {}
    pieces: dict[str, dict[str, torch.Tensor]] = {}
    theirs: dict[str, str] = {}
    for name in tensors.keys() - set(unused):
        ours, _, place = our_name(name, naming).partition(PART)
        theirs[ours] = min(name, theirs.get(ours, name))
        if place:
            pieces.setdefault(ours, {})[place] = tensors[name]
        else:
            whole[ours] = tensors[name]
    for ours, parts in pieces.items():
        if len(parts) == naming.pieces:
            whole[ours] = torch.cat([parts[place] for place in sorted(parts)])
    return Renamed(whole, theirs, unused)


def our_name(name: str, naming: Naming) -> str:
    """Return limner's name of a tensor, followed by `PART` and its order if it is a piece."""
    for pattern, replacement in naming.rules:
        name = re.sub(pattern, replacement, name)
    return name
