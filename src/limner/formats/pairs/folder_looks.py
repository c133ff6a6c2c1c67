"""Find mask folders by looking into a few files if their names are unknown, such as Masken/, Bilder/."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from limner.core.errors import DataError
from limner.formats.file_tree import FileTree
from limner.formats.folder_words import Role, read_folder_name, split_of_folder
from limner.formats.pairs.folder_roles import Roles, roles_of_tree
from limner.formats.pairs.pairing import Item, pair, shared_affix
from limner.images.file_names import image_stem
from limner.images.masks import unique_colors
from limner.images.pixels import Pixels, read_pixels

MAX_FOLDERS = 12
"""More folders than this are classes or patients, and looking into them would take long."""

MAX_COLOURS = 64
"""A mask has few colours or grey values; a photograph of more than a few pixels has hundreds."""

MIN_PAIRED = 0.9
"""Minimum share of the files on both sides that match by name."""

_MAX_LOOKED_AT = 2
_SAMPLE = 4096  # pixels, spread over the image


def roles_by_content(root: Path, tree: FileTree) -> Roles | None:
    """Return images and masks of folders (or one) with unknown names; None if their content is unclear too.

    Folders with known names keep their roles. If all names are known, no file is opened.
    """
    if len(tree.images_in) == 1:
        return _roles_in_one_folder(root, tree)
    said = {folder: read_folder_name(folder.name).role for folder in tree.images_in}
    if not 2 <= len(said) <= MAX_FOLDERS or None not in said.values():
        return None
    if not _share_names(list(tree.images_in.values())):
        return None
    roles = {folder: role or looks_like(root, tree.images_in[folder]) for folder, role in said.items()}
    items = {item.path: item for item in roles_of_tree(tree).everything()}
    found: dict[Role | None, list[Item]] = {"image": [], "label": []}
    for folder, role in roles.items():
        found.setdefault(role, []).extend(_placed(items[path], folder) for path in tree.images_in[folder])
    images, labels = found["image"], found["label"]
    paired = len(pair(images, labels).label_of)
    if not labels or paired < max(2, MIN_PAIRED * max(len(images), len(labels))):
        return None
    regions, others = found.get("valid_region", []), found.get("other_label", [])
    return Roles(tuple(images), tuple(labels), tuple(regions), tuple(others))


def _roles_in_one_folder(root: Path, tree: FileTree) -> Roles | None:
    """Separate ``7.png`` and ``7_vessels.png`` in one folder: one affix, and content of few colours."""
    items = roles_of_tree(tree).everything()
    (prefix, suffix), _ = shared_affix(items, items)
    marked = {
        i for i in items if (prefix or suffix) and i.name.startswith(prefix) and i.name.endswith(suffix)
    }
    images = tuple(item for item in items if item not in marked)
    labels = tuple(item for item in items if item in marked)
    paired = len(pair(images, labels).label_of)
    if not marked or paired < max(2, MIN_PAIRED * max(len(images), len(labels))):
        return None
    looks = [looks_like(root, [item.path for item in group]) for group in (images, labels)]
    return Roles(images, labels, (), ()) if looks == ["image", "label"] else None


def _share_names(folders: Sequence[Sequence[PurePosixPath]]) -> bool:
    """Tell whether two folders share a number in their file names; no file is opened."""
    keys = [{re.sub(r"\D", "", image_stem(path.name)) for path in paths} for paths in folders]
    return any(a & b for n, a in enumerate(keys) for b in keys[n + 1 :])


def looks_like(root: Path, paths: Sequence[PurePosixPath]) -> Role | None:
    """Return ``label`` if the files have few colours, ``image`` if many, None for a mixture."""
    looks = {_is_mask(root / path) for path in paths[:_MAX_LOOKED_AT]}
    return None if len(looks) != 1 or None in looks else "label" if True in looks else "image"


def _is_mask(path: Path) -> bool | None:
    try:
        pixels, _ = read_pixels(path)
    except DataError:  # a damaged file is a finding of its own
        return None
    return has_few_colours(pixels)


def has_few_colours(pixels: Pixels) -> bool:
    """Tell whether an image (*spatial, C) has at most `MAX_COLOURS` colours."""
    rows = pixels.reshape(-1, pixels.shape[-1])
    some = rows[
        :: max(1, len(rows) // _SAMPLE)
    ]  # those of a photograph are sorted in a second, a sample is not
    return len(unique_colors(some)) <= MAX_COLOURS and len(unique_colors(rows)) <= MAX_COLOURS


def is_photograph(path: Path) -> bool:
    """Tell whether there is a colour for every four pixels or fewer, of those that are looked at."""
    try:
        pixels, _ = read_pixels(path)
    except DataError:  # a damaged file is a finding of its own
        return False
    rows = pixels.reshape(-1, pixels.shape[-1])
    some = rows[:: max(1, len(rows) // _SAMPLE)]
    return pixels.shape[-1] == 3 and 4 * len(unique_colors(some)) > len(some)


def _placed(item: Item, folder: PurePosixPath) -> Item:
    """Give a file the site and split of its folder; the innermost folder names the role, not the site."""
    site = tuple(word for part in folder.parts[:-1] for word in read_folder_name(part).words)
    words = re.findall(r"[a-z]+", folder.name.casefold())
    split = item.split or next((split for word in words if (split := split_of_folder(word))), None)
    return replace(item, site=site, split=split, folder=folder.name)
