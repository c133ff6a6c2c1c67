"""From the names that another project gives its tensors to ours."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

Rule = tuple[str, str]
"""A regular expression and its replacement; those of a project are applied in turn."""

PART = "@"
"""Ends a name whose tensor is one piece of ours; the pieces are joined in the order of what follows."""


@dataclass(frozen=True)
class Naming:
    """How one project names the tensors of an architecture.

    Attributes:
        title: The project.
        sign: A regular expression that one of its names always matches, and no other project's.
        rules: Applied to each name in turn.
        pieces: How many pieces a joined tensor has.
        idle: Regular expression of their names that no prediction needs, such as those of a loss.
    """

    title: str
    sign: str
    rules: tuple[Rule, ...]
    pieces: int = 3
    idle: str = r"(?!)"


@dataclass(frozen=True)
class Renamed:
    """What came of a table of tensors.

    Attributes:
        tensors: By our names; names that no rule knows stay as they were.
        theirs: Our name -> theirs, the first of several pieces.
        idle: Their names that were left out.
    """

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    theirs: dict[str, str] = field(default_factory=dict)
    idle: tuple[str, ...] = ()


def rename(tensors: Mapping[str, torch.Tensor], naming: Naming) -> Renamed:
    """Give tensors our names, and join those that are pieces of one of ours.

    A tensor of which a piece is missing is left out, so that it counts as missing.
    """
    idle = tuple(sorted(name for name in tensors if re.search(naming.idle, name)))
    whole: dict[str, torch.Tensor] = {}
    pieces: dict[str, dict[str, torch.Tensor]] = {}
    theirs: dict[str, str] = {}
    for name in tensors.keys() - set(idle):
        ours, _, place = our_name(name, naming).partition(PART)
        theirs[ours] = min(name, theirs.get(ours, name))
        if place:
            pieces.setdefault(ours, {})[place] = tensors[name]
        else:
            whole[ours] = tensors[name]
    for ours, parts in pieces.items():
        if len(parts) == naming.pieces:
            whole[ours] = torch.cat([parts[place] for place in sorted(parts)])
    return Renamed(whole, theirs, idle)


def our_name(name: str, naming: Naming) -> str:
    """Return our name of a tensor, ending with `PART` and its place where it is a piece of ours."""
    for pattern, replacement in naming.rules:
        name = re.sub(pattern, replacement, name)
    return name
