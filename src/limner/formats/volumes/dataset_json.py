"""`dataset.json` of the Medical Segmentation Decathlon and of nnU-Net: names, regions, channels.

References: https://medicaldecathlon.com, and documentation/dataset_format.md of nnU-Net (Apache-2.0).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from limner.core.errors import DataError, describe
from limner.core.labels import LabelClass, LabelTable, distinct_color
from limner.formats.file_tree import FileTree
from limner.storage.json_files import JsonObject, read_json_object
from limner.storage.usable_numbers import is_number, number_of

FILE_NAME = "dataset.json"
IGNORED = "ignore"
"""nnU-Net's name of the label that losses and scores skip."""

_EXPECTED = '`labels` with a number for each name, such as {"background": 0, "liver": 1}'


@dataclass(frozen=True)
class DatasetJson:
    """What a `dataset.json` says.

    Attributes:
        labels: The classes, and what is ignored.
        channels: Names of the channels, in order; empty if it has none.
        has_regions: Whether classes are unions of labels that overlap; their parts are the classes then.
    """

    labels: LabelTable
    channels: tuple[str, ...]
    has_regions: bool


def has_dataset_json(tree: FileTree) -> bool:
    """Tell whether a `dataset.json` is in the dataset folder itself."""
    return PurePosixPath(FILE_NAME) in tree.others


def read_dataset_json(root: Path) -> DatasetJson:
    """Read the `dataset.json` of a dataset folder.

    Raises:
        DataError: It cannot be read, or has no labels that can be used.
    """
    path = root / FILE_NAME
    content = read_json_object(path, what="The description of the dataset", expected=_EXPECTED)
    named = _values_of_names(content.child("labels"), path)
    ignored = tuple(v for name, values in named.items() if name.casefold() == IGNORED for v in values)
    regions = {name: values for name, values in named.items() if name.casefold() != IGNORED}
    classes = _classes(regions)
    if not classes:
        raise _unusable(path, "no labels")
    channels = content.child("channel_names") if "channel_names" in content else content.child("modality")
    names = tuple(channels.text(key) for key in sorted(channels.names, key=_number))
    has_regions = any(len(values) > 1 for values in regions.values())
    return DatasetJson(LabelTable(classes, ignored), names, has_regions)


def dataset_json(
    labels: LabelTable, *, channels: int, num_training: int, suffix: str, names: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the content of nnU-Net's `dataset.json` for trained labels."""
    named: dict[str, Any] = {c.name: index for index, c in enumerate(labels.classes)}
    known = names if len(names) == channels else tuple(f"channel {place}" for place in range(channels))
    return {
        "channel_names": {str(place): name for place, name in enumerate(known)},
        "labels": named,
        "numTraining": num_training,
        "file_ending": suffix,
    }


def _number(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdigit() else (1 << 30, text)


def _values_of_names(labels: JsonObject, path: Path) -> dict[str, tuple[int, ...]]:
    """Return name -> values, of ``{"0": "background"}`` as of ``{"background": 0}``; regions have several."""
    named: dict[str, tuple[int, ...]] = {}
    for key in labels.names:
        value = labels.value(key)
        if (
            isinstance(value, str)
            and key.isascii()
            and key.lstrip("-").isdigit()
            and number_of(key) is not None
        ):
            named[value] = (*named.get(value, ()), int(key))
        elif (held := _held(value)) is not None:
            named[key] = held
        else:
            raise _unusable(path, f"the label {key[:40]!r} is {str(value)[:40]!r}")
    if "" in named:
        raise _unusable(path, f"no name for the label {', '.join(map(str, named['']))}")
    return named


def _held(value: object) -> tuple[int, ...] | None:
    """Return the mask values of a label, or None if it is something else or beyond what a mask holds."""
    values: list[object] = value if isinstance(value, list) else [value]
    whole = tuple(v for v in values if type(v) is int and is_number(v))
    return whole if len(whole) == len(values) else None


def _classes(regions: Mapping[str, tuple[int, ...]]) -> tuple[LabelClass, ...]:
    """Return a class for each value, named after the smallest region that holds it."""
    by_size = sorted(regions.items(), key=lambda item: len(item[1]))
    values = sorted({value for values in regions.values() for value in values})
    taken: set[str] = set()
    classes = []
    for index, value in enumerate(values):
        name = next(name for name, held in by_size if value in held)
        name = name if name not in taken else f"{name} ({value})"
        taken.add(name)
        color = (0, 0, 0) if value == 0 else distinct_color(index)
        classes.append(LabelClass(name, (value,), color))
    return tuple(classes)


def _unusable(path: Path, found: str) -> DataError:
    return DataError(
        describe("The labels in dataset.json cannot be used", where=path, found=found, expected=_EXPECTED)
    )
