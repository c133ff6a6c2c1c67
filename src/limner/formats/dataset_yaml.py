"""Read and write `dataset.yaml`, the one file that limner may put beside a user's images."""

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from limner.core.config import merge, parse_config, parse_yaml
from limner.core.dataset_file import FILE_NAME, DatasetFile
from limner.core.errors import DataError, describe
from limner.core.yaml_text import compose_yaml, dump_yaml, load_yaml
from limner.storage.output_folder import numbered_places
from limner.storage.whole_files import remove_leftovers_of, write_whole

WIDTH = 100
"""Line length at which lists and mappings are written one entry a line."""


def read_dataset_file(root: Path) -> DatasetFile:
    """Return the settings in `root`'s `dataset.yaml`, or the defaults where there is none.

    Raises:
        ConfigError: The file is not YAML, or holds settings that limner does not know.
        DataError: The file cannot be read.
    """
    path = root / FILE_NAME
    return parse_config(DatasetFile, parse_yaml(_text(path), where=str(path)), where=str(path))


def write_dataset_file(root: Path, settings: dict[str, Any], *, replace: Collection[str] = ()) -> Path:
    """Lay settings over what the user wrote, and write `dataset.yaml`; the images are not touched.

    What the user wrote of other keys stays letter for letter, comments too. If anything of the old file is
    lost, it is kept beside as ``dataset.yaml.before``, ``dataset.yaml.before-2``, ...

    Args:
        root: The dataset folder.
        settings: Plain values in the shape of `DatasetFile`; mappings are merged, lists replaced.
        replace: Keys whose old value goes altogether, though it be a mapping.

    Returns:
        The file.

    Raises:
        ConfigError: The result would not be valid; nothing is written then.
        WriteError: The file cannot be written.
    """
    path = root / FILE_NAME
    old = _text(path)
    written = parse_yaml(old, where=str(path)) or {}
    parse_config(DatasetFile, written, where=str(path))
    merged = merge({key: value for key, value in written.items() if key not in replace}, settings)
    parse_config(DatasetFile, merged, where=str(path))
    changed = {key: value for key, value in merged.items() if written.get(key) != value}
    text = _with_keys(old, changed)
    if not _says(text, merged):  # a layout that cannot be edited key by key, such as one line of {...}
        text = dump_yaml(merged, flow=None, width=WIDTH)
    if not text.startswith(old.rstrip()):
        _keep(old, path.with_name(f"{FILE_NAME}.before"))
    write_whole(path, text, durable=True)
    remove_leftovers_of(path)
    return path


def _keep(old: str, path: Path) -> None:
    """Keep the old file under the first name where nothing is, unless a killed call kept it already."""
    for place in numbered_places(path):
        if not os.path.lexists(place):
            write_whole(place, old, durable=True)
            return
        if place.is_file() and _text(place) == old:
            return


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            describe(
                "dataset.yaml cannot be read",
                where=path,
                found=str(error),
                expected="a text file in UTF-8",
                fix="Save it as UTF-8, or remove it: `limner check` looks at the data and proposes one.",
            )
        ) from None


def _says(text: str, values: dict[str, Any]) -> bool:
    try:
        return bool(load_yaml(text) == values)
    except yaml.YAMLError:
        return False


def _with_keys(text: str, changed: dict[str, Any]) -> str:
    """Return YAML text with some top-level keys replaced or added, and the rest as it was."""
    node = compose_yaml(text)
    spans = {} if node is None else {key.value: (key, value) for key, value in node.value}
    # From the end, so that what is replaced moves nothing that is still to be found.
    present = [key for key in changed if key in spans]
    for key in sorted(present, key=lambda k: -spans[k][0].start_mark.index):
        start, end = spans[key][0].start_mark.index, spans[key][1].end_mark.index
        block = text[start:end]
        # The end of a nested block is where the next key begins; comments between belong to that key.
        kept = re.search(r"\n(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]*\Z", block)
        tail = kept.group() if kept else ""
        text = (
            text[:start]
            + dump_yaml({key: changed[key]}, flow=None, width=WIDTH).rstrip("\n")
            + tail
            + text[end:]
        )
    if text and not text.endswith("\n"):
        text += "\n"
    added = {key: value for key, value in changed.items() if key not in spans}
    return text + (dump_yaml(added, flow=None, width=WIDTH) if added else "")
