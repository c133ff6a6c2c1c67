"""`limner.split()`: which images train, validate and test, written down once and for all."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.api.check import check
from limner.api.split_files import kept_aside, refuse_overwriting, write_lists
from limner.core.dataset_file import SplitFractions
from limner.core.errors import ConfigError, DataError, describe
from limner.core.progress import Track, silent
from limner.core.sample import Record
from limner.formats import open_source
from limner.formats.source import Source
from limner.loading.division import Unit, divide
from limner.loading.splits import drawn

FOLDER = "splits"
"""Where the lists go, below the dataset folder."""


@dataclass(frozen=True)
class SplitResult:
    """A division of a dataset.

    Attributes:
        folds: One mapping a fold (or a single one), each from split to the image files in it, relative to
            the dataset folder and sorted.
        groups: How many groups there are; the number of images where none were named.
        classes: Split of the first fold -> class -> images that hold it; empty where masks were not read.
        written: The files that were written.
        aside: Where the lists of an earlier division were moved to, or None.
    """

    folds: tuple[dict[str, tuple[str, ...]], ...]
    groups: int
    classes: dict[str, dict[str, int]]
    written: tuple[Path, ...]
    aside: Path | None = None


def split(
    path: Path | str,
    *,
    val: float = 0.2,
    test: float = 0.0,
    seed: int = 0,
    group: str | None = None,
    stratify: bool = False,
    folds: int = 0,
    out: Path | str | None = None,
    overwrite: bool = False,
    write: bool = True,
    workers: int | None = None,
    track: Track = silent,
) -> SplitResult:
    """Divide the labelled images into train, val and test, and write the lists.

    The lists go to ``splits/`` in the dataset folder, and `dataset.yaml` gets the lines that follow them.

    Args:
        path: The dataset folder.
        val: Share of the images for validation; with `folds` it is 1 / folds.
        test: Share that is kept for testing; with `folds` the same images in each.
        seed: The same seed gives the same division, whatever the machine.
        group: Regular expression; images whose paths it finds the same text in (its groups, or the whole
            match) stay together, such as the frames of one patient.
        stratify: Spread the classes evenly; reads every mask.
        folds: Number of parts for cross-validation, each of which validates once; 0 makes one division.
        out: Another folder for the lists; `dataset.yaml` is then left alone.
        overwrite: Write although there are splits; the old lists are moved to ``splits-before``.
        write: False only says what the division would be.
        workers: Reading threads, for `stratify`.
        track: Shows the progress.

    Raises:
        DataError: The folder cannot be read, an image fits no group, there are too few groups, or lists are
            already there.
        ConfigError: A share, the number of folds or the expression cannot be used.
    """
    fractions = _fractions(val, test, seed, folds)
    source, holders, names = _opened(Path(path), stratify=stratify, workers=workers, track=track)
    records = [record for record in source.records if record.labels]
    target = source.root / FOLDER if out is None else Path(out)
    if write and not overwrite:
        refuse_overwriting(source.root, target, in_dataset=out is None)
    units = _units(records, source.root, group, holders)
    divided = _divide(records, units, fractions, folds, plain=group is None and not stratify)
    file_of = {r.name: _relative(r, source.root) for r in records}
    listed = tuple(
        {name: tuple(sorted(file_of[m] for m in members)) for name, members in fold.items()}
        for fold in divided
    )
    aside = kept_aside(target) if write and overwrite else None
    written = write_lists(source.root, target, listed, in_dataset=out is None) if write else ()
    classes = _class_counts(divided[0], holders, names)
    return SplitResult(listed, len(units), classes, written, aside)


def _fractions(val: float, test: float, seed: int, folds: int) -> SplitFractions:
    if folds == 1 or folds < 0:
        raise ConfigError(f"--folds is the number of parts, 2 or more; found {folds}.")
    share = (1 - test) / folds if folds else val
    if not (0 < share < 1 and 0 <= test < 1 and share + test < 1):
        raise ConfigError(
            f"val and test are shares that leave images to train on; found val {val:g}, test {test:g}."
        )
    if seed < 0:
        raise ConfigError(f"--seed is 0 or more; found {seed}.")
    return SplitFractions(val=share, test=test, seed=seed)


Holders = Mapping[str, Mapping[int, int]]


def _opened(
    path: Path, *, stratify: bool, workers: int | None, track: Track
) -> tuple[Source, Holders, tuple[str, ...]]:
    """Open the dataset, and where classes count, find out which image holds which."""
    if not stratify:
        source = open_source(path)
        _require_labels(source)
        return source, {}, ()
    checked = check(path, workers=workers, track=track)
    _require_labels(checked.source)
    labels = checked.settled_labels("they cannot be spread evenly; leave out --stratify, or settle it")
    trained_as, ignored = labels.trained_as, labels.ignore_index
    holders = {
        image.name: dict.fromkeys({trained_as.get(v, ignored) for v in image.value_counts} - {ignored}, 1)
        for image in checked.facts.images
    }
    return checked.source, holders, labels.names


def _require_labels(source: Source) -> None:
    if not any(record.labels for record in source.records):
        raise DataError(
            describe(
                "No image has a mask, so there is nothing to divide",
                where=source.root,
                fix="Run `limner check` to see how images and masks were paired.",
            )
        )


def _units(records: Sequence[Record], root: Path, group: str | None, holders: Holders) -> list[Unit]:
    members: dict[str, list[str]] = {}
    expression = _compiled(group)
    for record in records:
        key = record.name if expression is None else _group_of(record, root, expression)
        members.setdefault(key, []).append(record.name)
    return [
        Unit(key, tuple(names), sum((Counter(holders.get(name, {})) for name in names), Counter()))
        for key, names in members.items()
    ]


def _compiled(group: str | None) -> re.Pattern[str] | None:
    try:
        return None if group is None else re.compile(group)
    except re.error as error:
        raise ConfigError(f"--group is no regular expression: {group!r} ({error}).") from None


def _group_of(record: Record, root: Path, expression: re.Pattern[str]) -> str:
    file = _relative(record, root)
    found = expression.search(file)
    if found is None:
        raise DataError(
            describe(
                "An image belongs to no group",
                where=file,
                found=f"nothing that {expression.pattern!r} fits",
                expected="an expression that finds the group in the path of each image",
                fix=r"Try it on this path; `^(\w+?)_`, for instance, takes what stands before the first _.",
            )
        )
    return "/".join(part or "" for part in found.groups()) if found.groups() else found.group()


def _divide(
    records: Sequence[Record], units: Sequence[Unit], fractions: SplitFractions, folds: int, *, plain: bool
) -> list[dict[str, tuple[str, ...]]]:
    """Return split -> image names for each fold."""
    if plain and not folds:  # what `splits: {val: ...}` in dataset.yaml would draw
        return [{name: tuple(r.name for r in rows) for name, rows in drawn(records, fractions).items()}]
    num_parts = (folds or 2) + (fractions.test > 0)
    if len(units) < num_parts:
        raise DataError(
            describe(
                "There are too few groups to divide",
                found=f"{len(units)} groups",
                expected=f"at least {num_parts}, one for each part",
                fix="Ask for fewer parts, or for smaller groups.",
            )
        )
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


def _class_counts(
    fold: Mapping[str, Sequence[str]], holders: Holders, names: Sequence[str]
) -> dict[str, dict[str, int]]:
    if not holders:
        return {}
    return {
        split_: {name: sum(i in holders[m] for m in members) for i, name in enumerate(names)}
        for split_, members in fold.items()
    }


def _relative(record: Record, root: Path) -> str:
    return record.image.relative_to(root).as_posix()
