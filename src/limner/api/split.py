"""`limner.split()`: which images train, validate and test, written down once and for all."""

from dataclasses import dataclass
from pathlib import Path

from limner.core.progress import Track, silent
from limner.datasets.image_division import divide_units, draw_images, open_divisible, split_fractions
from limner.loading.split_files import move_lists_aside, refuse_overwriting, write_lists

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
    fractions = split_fractions(val, test, seed, folds)
    data = open_divisible(Path(path), stratify=stratify, workers=workers, track=track)
    root = data.source.root
    target = root / FOLDER if out is None else Path(out)
    if write and not overwrite:
        refuse_overwriting(root, target, in_dataset=out is None)
    units = data.units(group)
    if group is None and not stratify and not folds:
        divided = [draw_images(data.records, fractions)]
    else:
        divided = divide_units(units, fractions, folds)
    file_of = {record.name: data.file_of(record) for record in data.records}
    listed = tuple(
        {name: tuple(sorted(file_of[m] for m in members)) for name, members in fold.items()}
        for fold in divided
    )
    aside = move_lists_aside(target) if write and overwrite else None
    written = write_lists(root, target, listed, in_dataset=out is None) if write else ()
    return SplitResult(listed, len(units), data.class_counts(divided[0]), written, aside)
