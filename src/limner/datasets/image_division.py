"""Splitting the labelled images of a dataset: individually or in groups, optionally stratified by class."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.core.dataset_file import SplitFractions
from limner.core.errors import ConfigError, DataError, describe
from limner.core.labels import LabelTable
from limner.core.progress import Track
from limner.core.sample import Record
from limner.datasets.checked import CheckResult, check_dataset
from limner.formats import open_source
from limner.formats.numbered_slices import case_in
from limner.formats.source import Source
from limner.loading.division import Unit, divide
from limner.loading.splits import drawn

Fold = dict[str, tuple[str, ...]]
"""Split -> names of its images."""


@dataclass(frozen=True)
class Divisible:
    """Labelled images to split.

    Attributes:
        source: The dataset.
        holders: Image -> trained index -> 1 for each class that it contains; empty if masks were not read.
        names: Names of the classes; empty if masks were not read.
        only: Names of the images to split; None is all.
    """

    source: Source
    holders: Mapping[str, Mapping[int, int]]
    names: Sequence[str]
    only: Collection[str] | None = None

    @classmethod
    def of(cls, checked: CheckResult, labels: LabelTable, only: Collection[str] | None = None) -> "Divisible":
        """Return the images of a checked dataset, with the classes in each."""
        trained_as, ignored = labels.trained_as, labels.ignore_index
        holders = {
            image.name: dict.fromkeys({trained_as.get(v, ignored) for v in image.value_counts} - {ignored}, 1)
            for image in checked.facts.images
        }
        return cls(checked.source, holders, labels.names, only)

    @property
    def records(self) -> list[Record]:
        """The images."""
        labelled = (record for record in self.source.records if record.labels)
        return [record for record in labelled if self.only is None or record.name in self.only]

    def file_of(self, record: Record) -> str:
        """Return an image's file, relative to the dataset folder."""
        return record.image.relative_to(self.source.root).as_posix()

    def units(self, group: str | None) -> list[Unit]:
        """Return the units to split: groups of images with the same match of `group`.

        Without it, the slices of a volume are a group, and other images are units of their own.

        Raises:
            ConfigError: `group` is not a regular expression.
            DataError: It does not match the path of an image.
        """
        expression = _compiled(group)
        members: dict[str, list[str]] = {}
        for record in self.records:
            if expression is None:
                key = self.source.case_of.get(record.name, record.name)
            else:
                key = case_in(self.file_of(record), expression)
            members.setdefault(key, []).append(record.name)
        return [
            Unit(key, tuple(names), sum((Counter(self.holders.get(name, {})) for name in names), Counter()))
            for key, names in members.items()
        ]

    def class_counts(self, fold: Mapping[str, Sequence[str]]) -> dict[str, dict[str, int]]:
        """Return split -> class -> number of images that contain it; empty if masks were not read."""
        if not self.holders:
            return {}
        return {
            split: {name: sum(i in self.holders[m] for m in members) for i, name in enumerate(self.names)}
            for split, members in fold.items()
        }


def split_fractions(val: float, test: float, seed: int, folds: int) -> SplitFractions:
    """Return the fractions of a split, or of each fold.

    Raises:
        ConfigError: No images are left for training, or a number is invalid.
    """
    if folds == 1 or folds < 0:
        raise ConfigError(f"--folds must be 2 or more; found {folds}.")
    share = (1 - test) / folds if folds else val
    if not (0 < share < 1 and 0 <= test < 1 and share + test < 1):
        raise ConfigError(
            f"val and test must be fractions that leave images to train on; found val {val:g}, test {test:g}."
        )
    if seed < 0:
        raise ConfigError(f"--seed must be 0 or more; found {seed}.")
    return SplitFractions(val=share, test=test, seed=seed)


def open_divisible(path: Path, *, stratify: bool, workers: int | None, track: Track) -> Divisible:
    """Open the dataset; with `stratify`, read the classes in each image.

    Raises:
        DataError: It cannot be read, no image has labels, or the meaning of the mask values is unclear.
    """
    if not stratify:
        source = open_source(path)
        _require_labels(source)
        return Divisible(source, {}, ())
    checked = check_dataset(path, workers=workers, track=track)
    _require_labels(checked.source)
    labels = checked.settled_labels("classes cannot be stratified; omit --stratify, or define the values")
    return Divisible.of(checked, labels)


def _require_labels(source: Source) -> None:
    if not any(record.labels for record in source.records):
        raise DataError(
            describe(
                "No image has labels, so there is nothing to split",
                where=source.root,
                fix="Run `limner check` to see how images and labels were paired.",
            )
        )


def draw_images(
    records: Sequence[Record], fractions: SplitFractions, cases: Mapping[str, str] | None = None
) -> Fold:
    """Split images individually, or slices by `cases`, as ``splits: {val: ...}`` in dataset.yaml does.

    Raises:
        DataError: There are fewer images, or cases, than splits.
    """
    parts = drawn(records, fractions, cases)
    if not all(parts.values()):
        found = {(cases or {}).get(record.name, record.name) for record in records}
        raise _too_few("cases" if cases else "images", len(found), len(parts))
    return {name: tuple(record.name for record in rows) for name, rows in parts.items()}


def divide_units(units: Sequence[Unit], fractions: SplitFractions, folds: int) -> list[Fold]:
    """Split units, stratified by class.

    Raises:
        DataError: There are too few groups.
    """
    num_parts = (folds or 2) + (fractions.test > 0)
    if len(units) < num_parts:
        what = "groups" if any(len(unit.members) > 1 for unit in units) else "images"
        raise _too_few(what, len(units), num_parts)
    rest = 1 - fractions.val - fractions.test
    shares = [fractions.val] * folds if folds else [rest, fractions.val]
    parts = divide(units, [*shares, *([fractions.test] if fractions.test else [])], seed=fractions.seed)
    names = [tuple(name for unit in part for name in unit.members) for part in parts]
    kept = {"test": names[-1]} if fractions.test else {}
    if not folds:
        return [{"train": names[0], "val": names[1], **kept}]
    return [
        {"train": tuple(n for j in range(folds) if j != i for n in names[j]), "val": names[i], **kept}
        for i in range(folds)
    ]


def _too_few(what: str, found: int, wanted: int) -> DataError:
    return DataError(
        describe(
            f"There are too few {what} to split",
            found=f"{found} {what}",
            expected=f"at least {wanted}, one for each part",
            fix="Use fewer parts, or smaller groups." if what == "groups" else "Use fewer parts.",
        )
    )


def _compiled(group: str | None) -> re.Pattern[str] | None:
    try:
        return None if group is None else re.compile(group)
    except re.error as error:
        raise ConfigError(f"--group is not a regular expression: {group!r} ({error}).") from None
