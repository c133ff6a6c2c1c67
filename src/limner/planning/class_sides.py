"""Opposite sides in names of classes, such as left and right kidney, which mirroring must not swap."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

OPPOSITES = {
    "LR": (
        *(("left", "right"), ("l", "r"), ("lt", "rt"), ("lh", "rh"), ("links", "rechts")),
        *(("gauche", "droite"), ("gauche", "droit"), ("izquierdo", "derecho"), ("izquierda", "derecha")),
        *(("sinistro", "destro"), ("sinistra", "destra"), ("esquerdo", "direito"), ("esquerda", "direita")),
    ),
    "PA": (("posterior", "anterior"), ("dorsal", "ventral"), ("back", "front")),
    "IS": (("inferior", "superior"), ("lower", "upper"), ("bottom", "top"), ("caudal", "cranial")),
}
"""Axis of the patient, by the letters of its two directions -> words for its two sides."""

FEWEST_NUMBERED = 3
"""Number of classes that differ in a number only from which they are levels, such as vertebrae."""

SHORTEST_PART = 4
"""Letters of a side from which it is also looked for inside a word, as in ``leftkidney``."""

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_]+")
_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)")


@dataclass(frozen=True)
class Sides:
    """Classes that differ in their side or level only.

    Attributes:
        axis: Axis of the patient along which they differ: ``LR``, ``PA`` or ``IS``.
        names: Two of them.
    """

    axis: str
    names: tuple[str, str]


def find_sides(names: Sequence[str]) -> tuple[Sides, ...]:
    """Return one pair of classes for each axis of the patient along which some classes are opposite.

    Numbered classes (L1, L2, ...) count as opposite along the axis from head to foot.

    Args:
        names: Names of the classes; those of classes without a name are numbered, too, and say nothing.
    """
    found = [_opposite(names, axis) for axis in OPPOSITES]
    if not any(sides is not None and sides.axis == "IS" for sides in found):
        found.append(_numbered(names))
    return tuple(sides for sides in found if sides is not None)


def _opposite(names: Sequence[str], axis: str) -> Sides | None:
    known = {_words(name): name for name in names} | {(name.casefold(),): name for name in names}
    for name in names:
        for pair in OPPOSITES[axis]:
            for one, other in (pair, pair[::-1]):
                for swapped in _swapped(name, one, other):
                    if swapped in known:
                        return Sides(axis, (name, known[swapped]))
    return None


def _swapped(name: str, one: str, other: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of a name with one side replaced by the other, also of words written as one."""
    words = _words(name)
    if one in words:
        yield tuple(other if word == one else word for word in words)
    if len(one) >= SHORTEST_PART and one in name.casefold():
        yield (name.casefold().replace(one, other),)


def _words(name: str) -> tuple[str, ...]:
    return tuple(word.casefold() for word in _WORDS.findall(name))


def _numbered(names: Sequence[str]) -> Sides | None:
    series: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in names:
        match = _NUMBERED.fullmatch(name.casefold())
        if match:
            series[match[1], match[3]].append(name)
    for members in series.values():
        if len(members) >= FEWEST_NUMBERED:
            return Sides("IS", (members[0], members[1]))
    return None
