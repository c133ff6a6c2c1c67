"""Which label file belongs to which image, by their names.

Four ways are tried on a whole group of files, and the one that pairs most wins: the same name; the usual
affixes taken off (`_mask`, `mask_`, `_training`, ...); one affix that all labels share, whatever it is; the
numbers in the names. Mixing ways inside one group would pair files that have nothing to do with each other.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

IMAGE_AFFIXES = [
    "images",
    "image",
    "imgs",
    "img",
    "im",
    "input",
    "rgb",
    "photo",
    "orig",
    "original",
    "sat",
    "leftimg8bit",
    "training",
    "train",
    "testing",
    "test",
    "validation",
    "valid",
    "val",
]
LABEL_AFFIXES = [
    "gtfine_labelids",
    "gtfine_labeltrainids",
    "labelids",
    "labeltrainids",
    "1stho",
    "manual1",
    "manual",
    "masks",
    "mask",
    "labels",
    "label",
    "lbl",
    "segmentation",
    "segmentations",
    "seg",
    "segs",
    "gt",
    "groundtruth",
    "ground_truth",
    "truth",
    "annotation",
    "annotations",
    "annot",
    "anno",
    "anns",
    "ann",
    "target",
    "gtfine",
    "binary",
    "matte",
    "m",
    "l",
    "p",
]
OTHER_LABEL_AFFIXES = [
    "2ndho",
    "manual2",
    "gtfine_color",
    "gtfine_instanceids",
    "gtfine_polygons",
    "instanceids",
]

_SEPARATOR = r"[\s_.\-]+"
_LETTERS = frozenset({"m", "l", "p", "im"})
"""Too short to be taken off without a separator, or from the front."""


@dataclass(frozen=True)
class Item:
    """A file that takes part in pairing.

    Attributes:
        path: Relative to the dataset folder.
        site: What remains of its folders without the words for role and split.
        split: ``train``, ``val``, ``test`` or None.
        folder: The folder that gives it its role, as words: ``masks`` or ``1st_manual``.
    """

    path: PurePosixPath
    site: tuple[str, ...]
    split: str | None
    folder: str

    @property
    def stem(self) -> str:
        """The name without suffix; accents composed, since macOS and Linux write them differently."""
        return unicodedata.normalize("NFC", self.path.stem)


@dataclass(frozen=True)
class Pairing:
    """Who belongs to whom.

    Attributes:
        labels_of: Image -> its candidates, usually one.
        unpaired: Labels that belong to no image.
        way: How it was found, in words.
    """

    labels_of: dict[Item, tuple[Item, ...]]
    unpaired: tuple[Item, ...]
    way: str

    @property
    def num_paired(self) -> int:
        """Images that have a label."""
        return sum(bool(labels) for labels in self.labels_of.values())


def pair(images: Sequence[Item], labels: Sequence[Item]) -> Pairing:
    """Pair labels with images of the same site and split, in the way that pairs most."""
    ways = (_by_affixes, _by_shared_affix, _by_numbers)
    pairings = [way(images, labels) for way in ways]
    # `max` keeps the first of equals, and so the surest way.
    return max(pairings, key=lambda p: p.num_paired)


def has_label_affix(stem: str) -> bool:
    """Whether a file's name says that it is a mask beside its image, such as ``cat_mask``."""
    return bool(_label_affix_pattern().search(stem))


def has_other_affix(stem: str) -> bool:
    """Whether a file's name says second observer, or labels drawn for people to look at."""
    return any(stem.casefold().endswith(affix) for affix in OTHER_LABEL_AFFIXES)


def bare_image_stem(stem: str) -> str:
    """Return an image's name without the usual affixes, in lower case."""
    return _strip(stem, _IMAGE_PATTERN)


def bare_label_stem(stem: str) -> str:
    """Return a label's name without the usual affixes, in lower case."""
    return _strip(stem, _LABEL_PATTERN)


def _affix_pattern(words: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(words, key=len, reverse=True)
    every = "|".join(map(re.escape, longest_first))
    glued = "|".join(re.escape(w) for w in longest_first if w not in _LETTERS)
    # At the end after a separator or a digit; at the start before one; or the whole name.
    return re.compile(
        rf"{_SEPARATOR}(?:{every})$|(?<=\d)(?:{glued})$|^(?:{glued})(?:{_SEPARATOR}|(?=\d))|^(?:{glued})$"
    )


_IMAGE_PATTERN = _affix_pattern(IMAGE_AFFIXES)
_LABEL_PATTERN = _affix_pattern([*LABEL_AFFIXES, *OTHER_LABEL_AFFIXES, *IMAGE_AFFIXES])
_MASK_BESIDE_IMAGE = re.compile(
    "|".join(
        [
            rf"{_SEPARATOR}(?:{'|'.join(w for w in LABEL_AFFIXES if w not in _LETTERS)})$",
            rf"^(?:mask|label|seg|gt){_SEPARATOR}",
            r"^(?:mask|label|seg|gt)$",
        ]
    ),
    re.IGNORECASE,
)


def _label_affix_pattern() -> re.Pattern[str]:
    return _MASK_BESIDE_IMAGE


def _strip(stem: str, pattern: re.Pattern[str]) -> str:
    bare = stem.casefold()
    while (shorter := pattern.sub("", bare, count=1)) != bare:
        bare = shorter
    return re.sub(_SEPARATOR, "_", bare).strip("_")


Key = tuple[object, ...]


def _match(
    images: Sequence[Item],
    labels: Sequence[Item],
    keys: Sequence[tuple[Callable[[Item], Key | None], Callable[[Item], Key | None]]],
    way: str,
) -> Pairing:
    """Pair by the first of several keys under which an image finds a label."""
    tables: list[dict[Key, list[Item]]] = []
    for _, label_key in keys:
        table: dict[Key, list[Item]] = defaultdict(list)
        for label in labels:
            if (key := label_key(label)) is not None:
                table[key].append(label)
        tables.append(table)
    labels_of: dict[Item, tuple[Item, ...]] = {}
    used: set[Item] = set()
    for image in images:
        labels_of[image] = ()
        for (image_key, _), table in zip(keys, tables, strict=True):
            key = image_key(image)
            candidates = [c for c in table.get(key, ()) if _same_split(image, c)] if key is not None else []
            if candidates:
                labels_of[image] = tuple(candidates)
                used.update(candidates)
                break
    return Pairing(labels_of, tuple(label for label in labels if label not in used), way)


def _same_split(image: Item, label: Item) -> bool:
    return image.split is None or label.split is None or image.split == label.split


def _by_affixes(images: Sequence[Item], labels: Sequence[Item]) -> Pairing:
    def same(item: Item) -> Key:
        return (item.site, item.stem)

    exact = _match(images, labels, [(same, same)], "by the same name")
    bare = _match(
        images,
        labels,
        [
            (same, same),
            (lambda i: (i.site, i.stem.casefold()), lambda i: (i.site, bare_label_stem(i.stem))),
            (lambda i: (i.site, bare_image_stem(i.stem)), lambda i: (i.site, bare_label_stem(i.stem))),
        ],
        "by name, the usual affixes taken off",
    )
    return exact if exact.num_paired == bare.num_paired else bare


def _by_shared_affix(images: Sequence[Item], labels: Sequence[Item]) -> Pairing:
    """One prefix and suffix that every label has around its image's name, such as ``v_<name>_vessels``."""
    stems = {image.stem for image in images}
    votes: Counter[tuple[str, str]] = Counter()
    for label in labels:
        name = label.stem
        for cut in range(1, len(name)):
            if name[:cut] in stems and re.search(r"[^\W\d_]", name[cut:]):
                votes["", name[cut:]] += 1
            if name[cut:] in stems and re.search(r"[^\W\d_]", name[:cut]):
                votes[name[:cut], ""] += 1
    (prefix, suffix), count = votes.most_common(1)[0] if votes else (("", ""), 0)
    if count < max(2, 0.6 * len(labels)):
        return Pairing({image: () for image in images}, tuple(labels), "")

    def inside(item: Item) -> Key | None:
        name = item.stem
        if not (name.startswith(prefix) and name.endswith(suffix)):
            return None
        return (item.site, name[len(prefix) : len(name) - len(suffix)])

    way = f"by name, each label being {prefix}<image's name>{suffix}"
    return _match(images, labels, [(lambda i: (i.site, i.stem), inside)], way)


def _by_numbers(images: Sequence[Item], labels: Sequence[Item]) -> Pairing:
    """The numbers in the names, where they name each file once and nearly all find a partner."""

    def numbers(item: Item) -> Key | None:
        found = tuple(int(n) for n in re.findall(r"\d+", item.stem))
        return (item.site, found) if found else None

    nothing = Pairing({image: () for image in images}, tuple(labels), "")
    for group in (images, labels):
        keys = Counter((numbers(item), item.split, item.folder) for item in group)
        if not keys or max(keys.values()) > 1 or any(key[0] is None for key in keys):
            return nothing
    found = _match(images, labels, [(numbers, numbers)], "by the numbers in the names")
    return found if found.num_paired >= 0.8 * min(len(images), len(labels)) else nothing
