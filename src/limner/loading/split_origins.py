"""Where each split comes from, in words: list files, folders, label files, or drawn by limner."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from limner.core.dataset_file import FILE_NAME, DatasetFile, SplitFractions, SplitLists
from limner.core.sample import Record
from limner.core.wording import first_few
from limner.formats.folder_words import split_of_folder
from limner.loading.splits import DEFAULT_FRACTIONS

MOST_NAMED = 3
"""Maximum number of folders or files that are named for a split."""

_REST = "the other images"


def split_origins(
    splits: Mapping[str, Sequence[Record]], settings: DatasetFile, root: Path
) -> dict[str, str]:
    """Return split -> where it comes from, such as ``train.txt`` or ``folder val/``.

    Args:
        splits: The splits from `assign_splits`.
        settings: The settings of the same dataset.
        root: The dataset folder.
    """
    if isinstance(settings.splits, SplitFractions):
        fractions = settings.splits
        return {split: f"{_share_drawn(split, fractions)}, as in {FILE_NAME}" for split in splits}
    by_settings = f", as in {FILE_NAME}" if isinstance(settings.splits, SplitLists) else ""
    origins: dict[str, str] = {}
    for split, records in splits.items():
        places = dict.fromkeys(_origin(r, split, root) for r in records if r.split == split)
        if places:
            origins[split] = first_few(places, MOST_NAMED) + by_settings
        elif split == "val":
            source = "train" if any(r.split for r in records) else ""
            origins[split] = _share_drawn(split, DEFAULT_FRACTIONS, source)
        else:
            origins[split] = _REST
    return origins


def _share_drawn(split: str, fractions: SplitFractions, source: str = "") -> str:
    if split == "train":
        return _REST
    share = fractions.val if split == "val" else fractions.test
    drawn_from = f"of {source} " if source else ""
    return f"{100 * share:g} % {drawn_from}drawn by limner with seed {fractions.seed}"


def _origin(record: Record, split: str, root: Path) -> str:
    """Return the list that names the image, or the folder or label file that says its split."""
    if record.split_from is not None:
        return record.split_from
    paths = [PurePosixPath(path.relative_to(root).as_posix()) for path in (record.image, *record.labels)]
    for path in paths:
        folders = [folder for folder in path.parents if split_of_folder(folder.name) == split]
        if folders:
            return f"folder {folders[0]}/"
    return str(paths[1]) if len(paths) > 1 else "the layout"
