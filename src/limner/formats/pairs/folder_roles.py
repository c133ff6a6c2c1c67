"""Assign the roles of files (image, label, neither) by folder and file names."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from limner.formats.file_tree import FileTree, folder_of
from limner.formats.folder_words import Role, read_folder_name
from limner.formats.pairs.affixes import (
    bare_image_name,
    bare_label_name,
    has_label_affix,
    has_other_affix,
    without_count,
)
from limner.formats.pairs.pairing import Item
from limner.images.file_names import image_stem, is_jpeg_name

Site = tuple[str, ...]

_OF_CELLPOSE = re.compile(r"_seg\.npy$|_(cp_)?(outlines|flows|cellprob)[^.]*\.\w+$")
"""What Cellpose writes beside an image and its ``_cp_masks``."""


@dataclass(frozen=True)
class Roles:
    """The files of a dataset by role."""

    images: tuple[Item, ...]
    labels: tuple[Item, ...]
    valid_regions: tuple[Item, ...]
    other_labels: tuple[Item, ...]

    def everything(self) -> tuple[Item, ...]:
        """Return all files."""
        return (*self.images, *self.labels, *self.valid_regions, *self.other_labels)


def assign_roles(paths: Iterable[PurePosixPath]) -> Roles:
    """Sort files into images, labels, fields of view and unused labels."""
    sites: dict[Site, list[tuple[Item, Role | None]]] = defaultdict(list)
    folders: dict[str, _Folder] = {}
    for path in paths:
        name = folder_of(path)
        folder = folders[name] if name in folders else folders.setdefault(name, _Folder.read(path.parts[:-1]))
        sites[folder.site].append(folder.item(path))
    sorted_out: dict[Role, list[Item]] = defaultdict(list)
    for members in sites.values():
        for item, role in _resolve_roles(members):
            sorted_out[role].append(item)
    groups: tuple[Role, ...] = ("image", "label", "valid_region", "other_label")
    return Roles(*(tuple(sorted_out[role]) for role in groups))


def roles_of_tree(tree: FileTree) -> Roles:
    """Return `assign_roles` of all images, sorted once however many formats ask."""
    if "roles" not in tree.remembered:
        tree.remembered["roles"] = assign_roles(tree.images)
    roles: Roles = tree.remembered["roles"]
    return roles


class _Folder(NamedTuple):
    """Role, split and site that a folder and its parents give to the files in it."""

    site: Site
    split: str | None
    role: Role | None
    name: str

    @classmethod
    def read(cls, parts: Sequence[str]) -> "_Folder":
        # The innermost folder with a role decides: `masks/images/` would be an odd name for masks.
        names = [read_folder_name(part) for part in parts]
        site = tuple(word for name in names for word in name.words)
        split = next((name.split for name in names if name.split), None)
        said = [(name.role, part) for part, name in zip(parts, names, strict=True) if name.role]
        return cls(site, split, *(said[-1] if said else (None, "")))

    def item(self, path: PurePosixPath) -> tuple[Item, Role | None]:
        stem = image_stem(path.name)
        role: Role | None = "other_label" if self.role == "label" and has_other_affix(stem) else self.role
        return Item(path, unicodedata.normalize("NFC", stem), self.site, self.split, self.name), role


def _resolve_roles(members: list[tuple[Item, Role | None]]) -> list[tuple[Item, Role]]:
    """Assign files whose folders have no role, and `mask` folders beside `manual` ones."""
    roles = Counter(role for _, role in members)
    manual = any(role == "label" and read_folder_name(item.folder).is_manual for item, role in members)
    resolved: list[tuple[Item, Role]] = []
    unnamed: list[Item] = []
    for item, role in members:
        if role is None or (role == "image" and not roles["label"]):
            unnamed.append(item)
        elif manual and role == "label" and not read_folder_name(item.folder).is_manual:
            # Retinal sets (DRIVE, HRF): the person's drawing is the label, `mask` the camera's field of view.
            resolved.append((item, "valid_region"))
        else:
            resolved.append((item, role))
    if roles["label"]:
        # `train/` beside `trainannot/`: images, unless folders named for images are there too.
        return resolved if roles["image"] else resolved + [(item, "image") for item in unnamed]
    return resolved + _split_one_folder(unnamed)


def _names_inside(label: str) -> Iterator[str]:
    """Yield the names that the image of a label may have: ``a_cp`` and ``a`` for ``a_cp_masks``."""
    yield bare_label_name(without_count(label))
    for separator in re.finditer(r"[\s_.\-]+", label):
        yield bare_image_name(label[: separator.start()])
        yield bare_image_name(label[separator.end() :])


def _split_one_folder(items: list[Item]) -> list[tuple[Item, Role]]:
    """Separate images and masks in one folder: ``cat.jpg`` with ``cat_mask.png``, or with ``cat.png``."""
    if any(item.name.endswith("_cp_masks") for item in items):
        others = {item for item in items if _OF_CELLPOSE.search(item.path.name)}
        rest = [item for item in items if item not in others]
        return [*_by_mark_or_twin(rest), *((item, "other_label") for item in others)]
    return _by_mark_or_twin(items)


def _by_mark_or_twin(items: list[Item]) -> list[tuple[Item, Role]]:
    marked = {item for item in items if has_label_affix(item.name)}
    keys = {(i.path.parent, bare_image_name(i.name)) for i in items if i not in marked}
    partners = sum(any((i.path.parent, name) in keys for name in _names_inside(i.name)) for i in marked)
    if marked and partners >= 0.5 * len(marked):
        return [(item, "label" if item in marked else "image") for item in items]
    photos = {(i.path.parent, i.name) for i in items if is_jpeg_name(i.path.name)}
    twins = {i for i in items if i.path.suffix.lower() in (".png", ".gif", ".bmp", ".npy", ".tif", ".tiff")}
    twins = {i for i in twins if (i.path.parent, i.name) in photos}
    if photos and len(twins) >= 0.5 * len(photos):
        return [(item, "label" if item in twins else "image") for item in items]
    return [(item, "image") for item in items]
