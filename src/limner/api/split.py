"""`limner.split()`: division of a dataset into training, validation and test images."""

from dataclasses import dataclass
from pathlib import Path

from limner.core.progress import Track, silent
from limner.datasets.image_division import divide_units, draw_images, open_divisible, split_fractions
from limner.loading.split_files import refuse_overwriting, write_lists
from limner.storage.user_paths import user_path
from limner.storage.whole_folders import tidy_after_kill

FOLDER = "splits"
"""Folder of the lists, in the dataset folder."""


@dataclass(frozen=True)
class SplitResult:
    """A division of a dataset.

    Attributes:
        folds: For each fold (or the only division): split -> sorted image files, as paths in the dataset
            folder.
        groups: Number of groups; without `group`, the number of images.
        classes: Split of the first fold -> class -> number of images with it; empty if masks were not read.
        written: The written files.
        aside: Folder in which previous lists are kept, or None.
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

    The lists are written to ``splits/`` in the dataset folder, and `dataset.yaml` refers to them.

    Args:
        path: The dataset folder.
        val: Share of the images for validation; with `folds` it is 1 / folds.
        test: Share of the images for testing; with `folds` the same images in each.
        seed: The same seed gives the same division on every machine.
        group: Regular expression; images whose paths contain the same match (its groups, or the whole match)
            stay together, such as the images of one patient.
        stratify: Spread the classes evenly; reads every mask.
        folds: Number of folds for cross-validation; 0 makes one division.
        out: Another folder for the lists; `dataset.yaml` is then not changed.
        overwrite: Replace existing splits; the old lists are kept in ``splits-before``.
        write: Whether to write the lists; False only returns the division.
        workers: Number of reading threads, for `stratify`.
        track: Shows progress.

    Raises:
        DataError: The folder cannot be read, an image matches no group, there are too few groups, or lists
            already exist.
        ConfigError: A share, the number of folds or the expression is invalid.
    """
    fractions = split_fractions(val, test, seed, folds)
    target = user_path(path) / FOLDER if out is None else user_path(out)
    if write:
        tidy_after_kill(target)
    data = open_divisible(Path(path), stratify=stratify, workers=workers, track=track)
    root = data.source.root
    if write and not overwrite:
        refuse_overwriting(root, target, in_dataset=out is None)
    units = data.units(group)
    if group is None and not stratify and not folds:
        divided = [draw_images(data.records, fractions, data.source.case_of)]
    else:
        divided = divide_units(units, fractions, folds)
    file_of = {record.name: data.file_of(record) for record in data.records}
    listed = tuple(
        {name: tuple(sorted(file_of[m] for m in members)) for name, members in fold.items()}
        for fold in divided
    )
    written, aside = write_lists(root, target, listed, in_dataset=out is None) if write else ((), None)
    return SplitResult(listed, len(units), data.class_counts(divided[0]), written, aside)
