"""The patterns of `dataset.yaml`: which files are images, masks and fields of view, said by the user."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.formats.folder_roles import Roles
from limner.formats.pairing import Item


def roles_by_pattern(paths: Sequence[PurePosixPath], settings: DatasetFile, roles: Roles) -> Roles:
    """Return the roles with those replaced that `dataset.yaml` spells out.

    Raises:
        DataError: A pattern fits no file.
    """
    known = {item.path: item for group in _groups(roles) for item in group}
    regions = _matching(paths, settings.valid_region, "valid_region")
    labels = _matching(paths, settings.masks, "masks")
    images = _matching(paths, settings.images, "images")
    if images is None:
        taken = {*(labels or ()), *(regions or ())}
        images = [i.path for i in (roles.images if labels is None else known.values()) if i.path not in taken]
        if labels is not None and roles.images:
            images = [i.path for i in roles.images if i.path not in taken] or images
    if labels is None:
        labels = [i.path for i in roles.labels if i.path not in {*images, *(regions or ())}]
    if regions is None:
        regions = [i.path for i in roles.valid_regions if i.path not in {*images, *labels}]
    named = {"image": images, "label": labels, "region": regions}
    made = {kind: tuple(_item(known, p) for p in found) for kind, found in named.items()}
    used = {*images, *labels, *regions}
    others = tuple(item for item in roles.other_labels if item.path not in used)
    return Roles(made["image"], made["label"], made["region"], others)


def _groups(roles: Roles) -> tuple[tuple[Item, ...], ...]:
    return roles.images, roles.labels, roles.valid_regions, roles.other_labels


def _item(known: dict[PurePosixPath, Item], path: PurePosixPath) -> Item:
    return known.get(path) or Item(path, (), None, "")


def _matching(paths: Sequence[PurePosixPath], pattern: str | None, key: str) -> list[PurePosixPath] | None:
    if pattern is None:
        return None
    expression = _expression(pattern)
    found = [path for path in paths if expression.fullmatch(path.as_posix())]
    if not found:
        some = ", ".join(str(p) for p in list(paths)[:3]) or "no image files at all"
        raise DataError(
            describe(
                f"The pattern of `{key}` in dataset.yaml fits no file",
                where=pattern,
                found=some,
                expected="a path relative to the dataset folder, with * for anything in a name, ** for any "
                "folders, and {stem} for the image's name",
            )
        )
    return found


def _expression(pattern: str) -> re.Pattern[str]:
    """Translate a glob: ``*`` and ``?`` stay inside one name, ``**`` crosses folders."""
    out, rest = "", pattern.removeprefix("./")
    for token in re.findall(r"\{stem\}|\*\*/|\*\*|\*|\?|\[[^\]]*\]|.", rest):
        known = {"{stem}": "[^/]*", "**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        out += known.get(token) or (token if token.startswith("[") else re.escape(token))
    return re.compile(out)
