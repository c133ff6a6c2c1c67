"""Split files: a list of images for each split, and the entry in `dataset.yaml` that refers to them."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from limner.core.dataset_file import FILE_NAME
from limner.core.errors import DataError, describe
from limner.formats.dataset_yaml import read_dataset_file, write_dataset_file
from limner.storage.disk_problems import write_errors_for
from limner.storage.output_folder import numbered_places
from limner.storage.whole_files import encoded, open_whole, write_whole
from limner.storage.whole_folders import folder_written_aside


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


def write_lists(
    root: Path, target: Path, folds: Sequence[Mapping[str, Sequence[str]]], *, in_dataset: bool
) -> tuple[tuple[Path, ...], Path | None]:
    """Write one list per split, in one folder per fold; the first fold is entered in dataset.yaml.

    Paths are relative to the dataset folder; absolute in lists outside of it, so that they can be followed.
    Lists that are there already are kept in ``splits-before`` (or ``-2``, ...) beside the folder.

    Returns:
        The written files, and the folder of the old lists or None.

    Raises:
        WriteError: They cannot be written.
    """
    inside = target.resolve().is_relative_to(root.resolve())
    start = "" if inside else f"{root.resolve().as_posix()}/"
    folders = [""] if len(folds) == 1 else [f"fold_{i + 1}/" for i in range(len(folds))]
    texts = {
        f"{folder}{name}.txt": encoded("".join(f"{start}{file}\n" for file in files))
        for folder, fold in zip(folders, folds, strict=True)
        for name, files in fold.items()
    }
    aside = _kept_aside(target, texts)
    _replace_lists(target, texts)
    written = [target / name for name in texts]
    if in_dataset:
        lists = {name: (target / f"{folders[0]}{name}.txt").relative_to(root).as_posix() for name in folds[0]}
        written.append(write_dataset_file(root, {"splits": lists}, replace=("splits",)))
    return tuple(written), aside


def _lists(target: Path) -> dict[str, bytes]:
    """Return the lists of splits and folds in a folder: name -> content."""
    patterns = [f"{folder}{name}.txt" for folder in ("", "fold_*/") for name in ("train", "val", "test")]
    found = [path for pattern in patterns for path in sorted(target.glob(pattern))]
    return {path.relative_to(target).as_posix(): path.read_bytes() for path in found}


def _kept_aside(target: Path, texts: Mapping[str, bytes]) -> Path | None:
    """Copy lists that are about to be replaced, unless a killed call has done so; return where they are."""
    old = _lists(target)
    if not old or old == texts:
        return None
    for place in numbered_places(target.with_name(f"{target.name}-before")):
        if not os.path.lexists(place):
            with folder_written_aside(place) as folder:
                for name, content in old.items():
                    write_whole(folder / name, content)
            return place
        if _lists(place) == old:
            return place
    raise AssertionError("there is always another number")


def _replace_lists(target: Path, texts: Mapping[str, bytes]) -> None:
    """Replace all lists at once: some of them would be a division too."""
    old = _lists(target)
    files = [path for path in target.rglob("*") if path.is_file()] if target.is_dir() else []
    if len(files) == len(old):
        with folder_written_aside(target) as place:
            for name, content in texts.items():
                write_whole(place / name, content)
        return
    with ExitStack() as stack:  # beside other files of the user: renamed one after the other at the end
        for name, content in texts.items():
            stack.enter_context(open_whole(target / name)).write(content)
    for path in (target / name for name in old.keys() - texts.keys()):
        with write_errors_for(path):
            path.unlink()
            if path.parent != target and not any(path.parent.iterdir()):
                path.parent.rmdir()
