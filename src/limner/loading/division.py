"""Divide images into parts of given sizes, without splitting groups, and optionally stratified by class.

Classes are distributed by iterative stratification (Sechidis, Tsoumakas, Vlahavas, ECML PKDD 2011), with
groups instead of single examples: the rarest class first, each group to the part that needs it most.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from limner.loading.splits import rank


@dataclass(frozen=True)
class Unit:
    """Images that stay in the same part: a group, or a single image.

    Attributes:
        key: Name of the group, which determines its random rank.
        members: Names of its images.
        holders: Class -> number of its images that contain the class; empty without stratification.
    """

    key: str
    members: tuple[str, ...]
    holders: Mapping[int, int] = field(default_factory=dict)


def divide(units: Sequence[Unit], shares: Sequence[float], *, seed: int) -> list[list[Unit]]:
    """Divide units into parts, which depend on the seed and the names, but not on the order of the units.

    Units are only added to parts below their target size. So single images reach the target sizes exactly,
    and a part exceeds its size by less than a group. No part is empty if there are as many units as parts.

    Args:
        units: Units to divide.
        shares: Target fraction of the images for each part; they sum to 1.
        seed: Random seed.

    Returns:
        One list per share.
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
    _fill_empty(parts, wanted, shares)
    return parts


def _fill_empty(parts: list[list[Unit]], wanted: Sequence[int], shares: Sequence[float]) -> None:
    """Move the smallest unit of the fullest part to each empty one: large groups may have left nothing."""
    for empty in (i for i, share in enumerate(shares) if share and not parts[i]):
        donors = [i for i, part in enumerate(parts) if len(part) > 1]
        if donors:
            donor = parts[min(donors, key=lambda i: (wanted[i], i))]
            smallest = min(donor, key=lambda unit: (len(unit.members), unit.key))
            donor.remove(smallest)
            parts[empty].append(smallest)


def whole_sizes(total: int, shares: Sequence[float]) -> list[int]:
    """Round shares of `total` to integers with the same sum, avoiding 0 if possible."""
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
    """Return the part below its size that needs a class most; on a tie, the one that needs most images."""
    open_parts = [i for i, size in enumerate(wanted) if size > 0]

    def need(part: int) -> tuple[float, int, int]:
        # Rounding errors of the shares must not break ties.
        lack = 0.0 if rarest is None else round(float(lacking[part][rarest]), 6)
        return lack, wanted[part], -part

    return max(open_parts, key=need)


def _tally(units: Sequence[Unit]) -> Counter[int]:
    total: Counter[int] = Counter()
    for unit in units:
        total.update({c: n for c, n in unit.holders.items() if n})
    return total
