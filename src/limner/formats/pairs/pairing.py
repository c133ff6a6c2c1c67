"""Pair label files with images by their names.

Three ways are tried on all files, and the one that pairs most wins: the same name; the usual affixes taken
off (`_mask`, `mask_`, `_training`, ...); one affix that all labels share, whatever it is. Only if these
pair nothing do unique names in nested folders decide, and then the numbers in the names: beside matching
names, they would give an image without mask the mask of another.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from limner.formats.pairs.affixes import bare_image_name, bare_label_name, without_count


@dataclass(frozen=True, eq=False)
class Item:
    """A file that takes part in pairing; equal only to itself, which makes it a cheap key.

    Attributes:
        path: Relative to the dataset folder.
        name: The name to compare: without suffix, or the part that matches ``{stem}`` in a pattern.
            Accents are composed, since macOS and Linux write them differently.
        site: Its folders without the words for role and split.
        split: ``train``, ``val``, ``test`` or None.
        folder: The name of the folder that gives it its role: ``masks`` or ``1st_manual``.
    """

    path: PurePosixPath
    name: str
    site: tuple[str, ...]
    split: str | None
    folder: str


@dataclass(frozen=True)
class Pairing:
    """Result of pairing.

    Attributes:
        label_of: Image -> its label.
        ambiguous: Image -> several labels that match equally well.
        passed_over: Labels that match an image with a better one.
        unpaired: Labels that match no image.
        way: How the pairs were found, in words.
    """

    label_of: dict[Item, Item]
    ambiguous: dict[Item, tuple[Item, ...]]
    passed_over: tuple[Item, ...]
    unpaired: tuple[Item, ...]
    way: str


Candidates = dict[Item, list[Item]]
Key = tuple[object, ...]
KeyOf = Callable[[Item], Key | None]


def pair(images: Sequence[Item], labels: Sequence[Item]) -> Pairing:
    """Pair labels with images of the same site and split, in the way that pairs most images."""
    candidates, way = _find_candidates(images, labels)
    votes: Counter[tuple[str, str]] = Counter()
    if any(len(found) > 1 for found in candidates.values()):
        for image, found in candidates.items():
            votes.update({_marks(image, label) for label in found})
    label_of: dict[Item, Item] = {}
    ambiguous: dict[Item, tuple[Item, ...]] = {}
    for image, found in candidates.items():
        best = found if len(found) == 1 else _best(image, found, votes)
        if len(best) == 1:
            label_of[image] = best[0]
        else:
            ambiguous[image] = tuple(best)
    taken = {*label_of.values(), *(label for group in ambiguous.values() for label in group)}
    fitting = {label for found in candidates.values() for label in found}
    return Pairing(
        label_of,
        ambiguous,
        tuple(label for label in labels if label in fitting and label not in taken),
        tuple(label for label in labels if label not in fitting),
        way,
    )


def _find_candidates(images: Sequence[Item], labels: Sequence[Item]) -> tuple[Candidates, str]:
    if not labels:
        return {}, "by the same name"
    candidates, way = _by_name(images, labels)
    for search in (_by_affixes, _by_shared_affix):
        if len(candidates) == len(images):
            break
        more = search(images, labels)
        if len(more[0]) > len(candidates):  # of equals, the first is the most reliable
            candidates, way = more
    if candidates:
        return candidates, way
    elsewhere = _in_other_folders(images, labels)
    return elsewhere if elsewhere[0] else _by_numbers(images, labels)


def _marks(image: Item, label: Item) -> tuple[str, str]:
    """Return how a label is marked: its folder, and its name without the image's."""
    name = without_count(label.name).casefold()
    return label.folder, name.replace(bare_image_name(image.name), "", 1)


def _best(image: Item, found: list[Item], votes: Counter[tuple[str, str]]) -> list[Item]:
    """Narrow candidates down: the most common marks, then the shortest name."""
    most = max(votes[_marks(image, label)] for label in found)
    found = [label for label in found if votes[_marks(image, label)] == most]
    shortest = min(len(_marks(image, label)[1]) for label in found)
    found = [label for label in found if len(_marks(image, label)[1]) == shortest]
    folders = sorted({label.folder for label in found})
    if len(folders) > 1:  # such as `gt` and `masks`, both complete: one is chosen and reported
        found = [label for label in found if label.folder == folders[0]]
    return found


def _match(images: Sequence[Item], labels: Sequence[Item], keys: Sequence[tuple[KeyOf, KeyOf]]) -> Candidates:
    """Pair by the first of several keys under which an image finds labels."""
    tables: list[dict[Key, list[Item]]] = []
    for _, label_key in keys:
        table: dict[Key, list[Item]] = defaultdict(list)
        for label in labels:
            if (key := label_key(label)) is not None:
                table[key].append(label)
        tables.append(table)
    candidates: Candidates = {}
    for image in images:
        for (image_key, _), table in zip(keys, tables, strict=True):
            key = image_key(image)
            fitting = [c for c in table.get(key, ()) if _same_split(image, c)] if key is not None else []
            if fitting:
                candidates[image] = fitting
                break
    return candidates


def _same_split(image: Item, label: Item) -> bool:
    return image.split is None or label.split is None or image.split == label.split


def _by_name(images: Sequence[Item], labels: Sequence[Item]) -> tuple[Candidates, str]:
    def same(item: Item) -> Key:
        return item.site, item.name

    return _match(images, labels, [(same, same)]), "by the same name"


def _by_affixes(images: Sequence[Item], labels: Sequence[Item]) -> tuple[Candidates, str]:
    def whole(item: Item) -> Key:
        return item.site, item.name.casefold()

    def bare_image(item: Item) -> Key:
        return item.site, bare_image_name(item.name)

    def bare_label(item: Item) -> Key:
        return item.site, bare_label_name(item.name)

    def marked_label(item: Item) -> Key | None:
        return _without_affix(item, item.name)

    def counted_label(item: Item) -> Key | None:
        return _without_affix(item, without_count(item.name))

    # An image named like a label's bare name comes first; numbered masks (`cat_mask_1`) come last.
    keys: list[tuple[KeyOf, KeyOf]] = [(whole, whole), (whole, marked_label), (bare_image, bare_label)]
    found = _match(images, labels, keys)
    counted = _match(images, labels, [(bare_image, counted_label)])
    paired = {label for group in found.values() for label in group}
    for image, more in counted.items():
        fresh = [label for label in more if label not in paired]
        if fresh:
            found[image] = [*found.get(image, []), *fresh]
    return found, "by name, the usual affixes taken off"


def _without_affix(item: Item, name: str) -> Key | None:
    """Return the key of a label without its affix, or None if it has none."""
    bare = bare_label_name(name)
    return (item.site, bare) if bare != name.casefold() else None


def _by_shared_affix(images: Sequence[Item], labels: Sequence[Item]) -> tuple[Candidates, str]:
    """Pair by one prefix or suffix that all labels share, such as ``<name>_vessels``."""
    (prefix, suffix), count = shared_affix(images, labels)
    if count < max(2, 0.6 * len(labels)):
        return {}, ""

    def inside(item: Item) -> Key | None:
        name = item.name
        if not (name.startswith(prefix) and name.endswith(suffix)):
            return None
        return item.site, name[len(prefix) : len(name) - len(suffix)]

    way = f"by name, each mask's being {prefix}NAME{suffix}"
    return _match(images, labels, [(lambda item: (item.site, item.name), inside)]), way


def shared_affix(images: Sequence[Item], labels: Sequence[Item]) -> tuple[tuple[str, str], int]:
    """Return the prefix and suffix that most labels have around an image's name, and how many have it."""
    names = {image.name for image in images}
    votes: Counter[tuple[str, str]] = Counter()
    for label in labels:
        name = label.name
        for cut in range(1, len(name)):
            before, after = name[:cut], name[cut:]
            if before in names and re.search(r"[^\W\d_]", after):
                votes["", after] += 1
            if after in names and re.search(r"[^\W\d_]", before):
                votes[before, ""] += 1
    return votes.most_common(1)[0] if votes else (("", ""), 0)


def _in_other_folders(images: Sequence[Item], labels: Sequence[Item]) -> tuple[Candidates, str]:
    """Pair by names that are unique on both sides, if nearly all match, where one side has more folders.

    So ``Training400/Glaucoma/g1.jpg`` finds its mask in ``Annotation-Training400/Disc/Glaucoma``.
    """

    def image_name(item: Item) -> Key:
        return (bare_image_name(item.name),)

    def label_name(item: Item) -> Key:
        return (bare_label_name(item.name),)

    for group, name_of in ((images, image_name), (labels, label_name)):
        counts = Counter((name_of(item), item.split, item.folder) for item in group)
        if not counts or max(counts.values()) > 1:
            return {}, ""
    same = _match(images, labels, [(image_name, label_name)])
    found = {image: fitting for image, fitting in same.items() if _are_nested(image.site, fitting[0].site)}
    enough = len(found) >= 0.8 * min(len(images), len(labels))
    return (found, "by their names, one side in more folders") if enough else ({}, "")


def _are_nested(one: Sequence[str], other: Sequence[str]) -> bool:
    """Tell whether one of two sites has all folders of the other, in their order, and more between them."""
    shorter, longer = sorted((one, other), key=len)
    rest = iter(longer)
    return bool(shorter) and all(folder in rest for folder in shorter)


def _by_numbers(images: Sequence[Item], labels: Sequence[Item]) -> tuple[Candidates, str]:
    """Pair by the numbers in the names, if they are unique and nearly all match."""

    def numbers(item: Item) -> Key | None:
        found = tuple(int(n) for n in re.findall(r"\d+", item.name))
        return (item.site, found) if found else None

    for group in (images, labels):
        counts = Counter((numbers(item), item.split, item.folder) for item in group)
        if not counts or max(counts.values()) > 1 or any(key[0] is None for key in counts):
            return {}, ""
    found = _match(images, labels, [(numbers, numbers)])
    enough = len(found) >= 0.8 * min(len(images), len(labels))
    return (found, "by the numbers in their names") if enough else ({}, "")
