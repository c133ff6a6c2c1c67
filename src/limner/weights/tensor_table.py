"""What became of every tensor of a checkpoint, and where every tensor of the network came from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

SHOWN = 2
"""Number of example names in a line."""


@dataclass(frozen=True)
class TensorTable:
    """The account of an import; each tensor of the checkpoint is in exactly one of the first four.

    Attributes:
        used: Names that are the same in the network.
        renamed: Their name -> limner's.
        reshaped: Their name -> what was changed, such as the order of channels.
        left_out: Their name -> why the network does not need it.
        fresh: Limner's name -> why the checkpoint does not have it.
    """

    used: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    reshaped: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    fresh: Mapping[str, str] = field(default_factory=dict)

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield the rows of the table that is shown: what became of tensors, and how many with examples."""
        yield "used", _counted(self.used)
        if self.renamed:
            shown = [f"{a} -> {b}" for a, b in list(self.renamed.items())[:1]]
            yield "renamed", f"{len(self.renamed)}: {', '.join(shown)}{', ...' * (len(self.renamed) > 1)}"
        for kind in ("reshaped", "left_out", "fresh"):
            for why, names in _by_reason(getattr(self, kind)):
                yield kind.replace("_", " "), f"{_counted(names)}: {why}"

    def to_dict(self) -> dict[str, Any]:
        """Return the whole table, for the model's card."""
        return {
            "used": list(self.used),
            "renamed": dict(self.renamed),
            "reshaped": dict(self.reshaped),
            "left_out": dict(self.left_out),
            "fresh": dict(self.fresh),
        }


def _by_reason(names: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each reason with the names that it is about."""
    ordered = sorted(names, key=lambda name: (names[name], name))
    for why, same in groupby(ordered, key=lambda name: names[name]):
        yield why, tuple(same)


def _counted(names: tuple[str, ...]) -> str:
    if not names:
        return "none"
    return f"{len(names)} ({', '.join(names[:SHOWN])}{', ...' * (len(names) > SHOWN)})"
