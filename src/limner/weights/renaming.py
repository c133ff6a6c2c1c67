"""Conversion of another project's tensor names to limner's."""

import re
from collections.abc import Callable, Mapping
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
        why_unused: What they are.
    """

    title: str
    sign: str
    rules: tuple[Rule, ...]
    pieces: int = 3
    unused: str = r"(?!)"
    why_unused: str = "prediction does not need it"


@dataclass(frozen=True)
class Renamed:
    """Result of renaming.

    Attributes:
        tensors: Tensors by limner's names; names that match no rule are unchanged.
        theirs: Our name -> original name; of several pieces, the first.
        joined: Our name -> the original names of its pieces.
        unused: Original name -> why it was omitted.
        reshaped: Our name -> what was changed in the tensor.
        added: Our name -> why the checkpoint lacks this tensor, whose values are known all the same.
    """

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    theirs: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)
    reshaped: dict[str, str] = field(default_factory=dict)
    joined: dict[str, tuple[str, ...]] = field(default_factory=dict)
    added: dict[str, str] = field(default_factory=dict)

    @property
    def sizes(self) -> dict[str, tuple[int, ...]]:
        """Sizes of the tensors, by limner's names."""
        return tensor_sizes(self.tensors)

    def add(self, name: str, tensor: torch.Tensor, why: str) -> None:
        """Add a tensor that the checkpoint lacks."""
        self.tensors[name], self.added[name] = tensor, why

    def change(self, name: str, change: Callable[[torch.Tensor], torch.Tensor], what: str) -> None:
        """Change one tensor, if it is there, and note what was changed."""
        if name in self.tensors:
            self.tensors[name] = change(self.tensors[name])
            self.reshaped[name] = what

    def leave_out(self, prefix: str, why: str) -> None:
        """Omit the tensors whose names begin with a prefix."""
        for name in [name for name in self.tensors if name.startswith(prefix)]:
            del self.tensors[name]
            for original in self.joined.pop(name, (self.theirs[name],)):
                self.unused[original] = why
            del self.theirs[name]


def tensor_sizes(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Return name -> size of the tensor, an integer for each axis."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def rename(tensors: Mapping[str, torch.Tensor], naming: Naming) -> Renamed:
    """Rename tensors to limner's names, and concatenate those that are split into pieces.

    Tensors with a missing piece are omitted, so that they are reported as missing. Of equal tensors with one
    name, the first is used; one that differs keeps its original name, so that it is reported as unexpected.
    """
    unused = {name: naming.why_unused for name in sorted(tensors) if re.search(naming.unused, name)}
    whole: dict[str, torch.Tensor] = {}
    joined: dict[str, tuple[str, ...]] = {}
    originals: dict[str, list[str]] = {}
    pieces: dict[str, dict[str, torch.Tensor]] = {}
    theirs: dict[str, str] = {}
    for name in sorted(tensors.keys() - unused.keys()):
        ours, _, place = our_name(name, naming).partition(PART)
        if ours in whole:
            if torch.equal(whole[ours], tensors[name]):
                unused[name] = f"equals {theirs[ours]}, of which it is a copy"
                continue
            ours = name
        theirs[ours] = min(name, theirs.get(ours, name))
        if place:
            pieces.setdefault(ours, {})[place] = tensors[name]
            originals.setdefault(ours, []).append(name)
        else:
            whole[ours] = tensors[name]
    for ours, parts in pieces.items():
        if len(parts) == naming.pieces:
            whole[ours] = torch.cat([parts[place] for place in sorted(parts)])
            joined[ours] = tuple(sorted(originals[ours]))
    return Renamed(whole, theirs, unused, joined=joined)


def our_name(name: str, naming: Naming) -> str:
    """Return limner's name of a tensor, followed by `PART` and its order if it is a piece."""
    for pattern, replacement in naming.rules:
        name = re.sub(pattern, replacement, name)
    return name
