"""Divide images into parts of wanted sizes: whole groups, and classes spread evenly where that is wanted.

The classes are spread by iterative stratification (Sechidis, Tsoumakas, Vlahavas, ECML PKDD 2011), with
groups in place of single examples: the rarest class first, each group to the part that lacks it most.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from limner.loading.splits import rank


@dataclass(frozen=True)
class Unit:
    """What may not be torn apart: a group of images, or one image.

    Attributes:
        key: The group's name, which settles its place in the draw.
        members: Its images.
        holders: Class -> how many of its images hold the class; empty where classes do not count.
    """

    key: str
    members: tuple[str, ...]
    holders: Mapping[int, int] = field(default_factory=dict)


def divide(units: Sequence[Unit], shares: Sequence[float], *, seed: int) -> list[list[Unit]]:
    """Divide units into parts, the same ones for the same seed and names whatever their order.

    A part grows only while it is smaller than it should be. So single images hit the wanted sizes, and no
    part exceeds its size by a whole group or more.

    Args:
        units: Each goes into one part.
        shares: Wanted share of the images for each part; they add up to 1.
        seed: Of the draw.

    Returns:
        One list a share.
    """
    wanted = whole_sizes(sum(len(unit.members) for unit in units), shares)
    lacking = [Counter({c: n * share for c, n in _tally(units).items()}) for share in shares]
    parts: list[list[Unit]] = [[] for _ in shares]
    left = sorted(units, key=lambda unit: rank(unit.key, seed))
    while left:
        counted = _tally(left)
        rarest = min(counted, key=lambda c: (counted[c], c), default=None)
        chosen = left if rarest is None else [unit for unit in left if unit.holders.get(rarest)]
        for unit in chosen:
            part = _neediest(lacking, wanted, rarest)
            parts[part].append(unit)
            wanted[part] -= len(unit.members)
            lacking[part].subtract(unit.holders)
        taken = {unit.key for unit in chosen}
        left = [unit for unit in left if unit.key not in taken]
    return parts


def whole_sizes(total: int, shares: Sequence[float]) -> list[int]:
    """Return whole numbers that add up to `total`, each near its share, and none 0 where that can be."""
    exact = [total * share for share in shares]
    sizes = [int(size) for size in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: (sizes[i] - exact[i], i))
    for i in by_remainder[: total - sum(sizes)]:
        sizes[i] += 1
    for i, size in enumerate(sizes):
        if size == 0 and shares[i] > 0 and max(sizes) > 1:
            sizes[sizes.index(max(sizes))] -= 1
            sizes[i] = 1
    return sizes


def _neediest(lacking: Sequence[Counter[int]], wanted: Sequence[int], rarest: int | None) -> int:
    """Return the part that lacks a class most among those not yet full; of equals, the emptiest."""
    open_parts = [i for i, size in enumerate(wanted) if size > 0]

    def need(part: int) -> tuple[float, int, int]:
        # Sums of shares carry rounding errors, which must not decide between equals.
        lack = 0.0 if rarest is None else round(float(lacking[part][rarest]), 6)
        return lack, wanted[part], -part

    return max(open_parts, key=need)


def _tally(units: Sequence[Unit]) -> Counter[int]:
    total: Counter[int] = Counter()
    for unit in units:
        total.update({c: n for c, n in unit.holders.items() if n})
    return total
