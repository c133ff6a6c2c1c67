"""Split files: a list of images for each split, and the entry in `dataset.yaml` that refers to them."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from limner.core.dataset_file import FILE_NAME
from limner.core.errors import DataError, describe
from limner.formats.dataset_yaml import read_dataset_file, write_dataset_file
from limner.storage.disk_problems import write_errors_for
from limner.storage.output_folder import free_place
from limner.storage.whole_files import write_whole
from limner.storage.whole_folders import folder_written_aside, tidy_after_kill


def refuse_overwriting(root: Path, target: Path, *, in_dataset: bool) -> None:
    """Raise a `DataError` if split lists, or the splits in `dataset.yaml`, already exist."""
    old = sorted(target.glob("**/*.txt")) if target.is_dir() else []
    spelled = in_dataset and read_dataset_file(root).splits is not None
    if not old and not spelled:
        return
    raise DataError(
        describe(
            "Splits already exist; they were not changed",
            where=old[0] if old else root / FILE_NAME,
            found=f"{len(old)} lists in {target}" if old else "`splits` in dataset.yaml",
            fix="Add --overwrite to replace them, or choose another folder with --out.",
        )
    )


def move_lists_aside(target: Path) -> Path | None:
    """Move existing lists to ``splits-before`` (or ``-2``, ...) next to the folder, and return its path.

    Only files that `write_lists` writes are moved: the lists of splits, and those of folds.

    Raises:
        WriteError: They cannot be moved.
    """
    patterns = [f"{folder}{name}.txt" for folder in ("", "fold_*/") for name in ("train", "val", "test")]
    old = [path for pattern in patterns for path in sorted(target.glob(pattern))]
    if not old:
        return None
    aside = free_place(target.with_name(f"{target.name}-before"))
    for path in old:
        place = aside / path.relative_to(target)
        with write_errors_for(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            path.rename(place)
            if path.parent != target and not any(path.parent.iterdir()):
                path.parent.rmdir()
    return aside


def write_lists(
    root: Path, target: Path, folds: Sequence[Mapping[str, Sequence[str]]], *, in_dataset: bool
) -> tuple[Path, ...]:
    """Write one list per split, in one folder per fold; the first fold is entered in dataset.yaml.

    Paths are relative to the dataset folder; absolute in lists outside of it, so that they can be followed.

    Raises:
        WriteError: They cannot be written.
    """
    inside = target.resolve().is_relative_to(root.resolve())
    start = "" if inside else f"{root.resolve().as_posix()}/"
    folders = [""] if len(folds) == 1 else [f"fold_{i + 1}/" for i in range(len(folds))]
    texts = {
        f"{folder}{name}.txt": "".join(f"{start}{file}\n" for file in files)
        for folder, fold in zip(folders, folds, strict=True)
        for name, files in fold.items()
    }
    tidy_after_kill(target)
    has_other_files = target.is_dir() and any(target.iterdir())
    # All lists at once: some of them would be a division too.
    with nullcontext(target) if has_other_files else folder_written_aside(target) as place:
        for name, text in texts.items():
            write_whole(place / name, text)
    written = [target / name for name in texts]
    if in_dataset:
        lists = {name: (target / f"{folders[0]}{name}.txt").relative_to(root).as_posix() for name in folds[0]}
        written.append(write_dataset_file(root, {"splits": lists}, replace=("splits",)))
    return tuple(written)
