"""Patterns in `dataset.yaml` that define images, masks and fields of view."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.formats.pairs.folder_roles import Roles
from limner.formats.pairs.pairing import Item
from limner.images.file_names import image_stem


def roles_by_pattern(paths: Sequence[PurePosixPath], settings: DatasetFile, roles: Roles) -> Roles:
    """Return the roles, replaced where `dataset.yaml` has patterns.

    Raises:
        DataError: A pattern matches no file.
    """
    known = {item.path: item for item in roles.everything()}
    spelled = {
        key: _matching(paths, known, pattern, key)
        for key in ("images", "masks", "valid_region")
        if (pattern := getattr(settings, key)) is not None
    }
    taken = {item.path for group in spelled.values() for item in group}

    def rest(items: Sequence[Item]) -> tuple[Item, ...]:
        return tuple(item for item in items if item.path not in taken)

    images = spelled.get("images") or rest(roles.images) or rest(roles.everything())
    labels = spelled.get("masks") or rest(roles.labels)
    regions = spelled.get("valid_region") or rest(roles.valid_regions)
    if "images" in spelled or "masks" in spelled:
        # Files paired by the user may be in unrelated folders.
        images, labels, regions = (_without_sites(group, images) for group in (images, labels, regions))
    used = {item.path for group in (images, labels, regions) for item in group}
    return Roles(images, labels, regions, tuple(i for i in roles.other_labels if i.path not in used))


def _without_sites(items: tuple[Item, ...], images: tuple[Item, ...]) -> tuple[Item, ...]:
    """Drop the folders unless images need them to be unique."""
    if len({(image.name, image.split) for image in images}) < len(images):
        return items
    return tuple(replace(item, site=()) for item in items)


def _matching(
    paths: Sequence[PurePosixPath], known: dict[PurePosixPath, Item], pattern: str, key: str
) -> tuple[Item, ...]:
    expression = _expression(pattern)
    found = [(path, match) for path in paths if (match := expression.fullmatch(path.as_posix()))]
    if not found:
        some = ", ".join(str(p) for p in list(paths)[:3]) or "no image files at all"
        raise DataError(
            describe(
                f"The pattern of `{key}` in dataset.yaml matches no file",
                where=pattern,
                found=some,
                expected="a path relative to the dataset folder, with * for anything in a name, ** for any "
                "folders, and {stem} for the image's name",
            )
        )
    items = []
    for path, match in found:
        name = match.groupdict().get("stem") or image_stem(path.name)
        items.append(replace(known[path], name=unicodedata.normalize("NFC", name)))
    return tuple(items)


def _expression(pattern: str) -> re.Pattern[str]:
    """Translate a glob: ``*`` and ``?`` match inside one name, ``**`` crosses folders."""
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]", "{stem}": "(?P<stem>[^/]+)"}
    out = ""
    for token in re.findall(r"\{stem\}|\*\*/|\*\*|.", pattern.removeprefix("./").replace("\\", "/")):
        repeated = token == "{stem}" and "?P<stem>" in out
        out += "(?P=stem)" if repeated else known.get(token, re.escape(token))
    return re.compile(out)
