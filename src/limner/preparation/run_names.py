"""Run folders: the given folder or name, or the next unused number in ``runs/``."""

import glob
from itertools import count
from pathlib import Path

from limner.core.errors import ConfigError, describe
from limner.core.run_folder import RUNS, RunFolder
from limner.storage.filled_folder import is_of_a_kill
from limner.storage.output_folder import refuse_inside
from limner.storage.unfinished import read_unfinished
from limner.storage.user_paths import user_path

PREPARING = "train"
"""Command in the record of a run folder that is being prepared."""


def named_run(run: str | Path) -> RunFolder:
    """Return the run of a folder, or of a name in ``runs/``."""
    given = user_path(run)
    return RunFolder(given if given.is_absolute() or len(given.parts) > 1 else RUNS / given)


def refuse_among_images(folder: Path | None, data: str | Path) -> None:
    """Refuse a folder for runs inside the dataset, before the dataset is read.

    Args:
        folder: The folder; None is the default, in ``runs/``.
        data: The dataset folder, or a file of settings, which tells later where the dataset is.

    Raises:
        DataError: It is inside the dataset.
    """
    if user_path(data).is_dir():
        refuse_inside(RUNS if folder is None else folder, data)


def next_free(stem: Path) -> Path:
    """Return the first of ``stem-1``, ``stem-2``, ... that does not exist."""
    return next(path for n in count(1) if not (path := stem.with_name(f"{stem.name}-{n}")).exists())


def taken_names(stem: Path) -> list[Path]:
    """Return those of ``stem-1``, ``stem-2``, ... that exist, in this order."""
    first = f"{stem.name}-"
    by_number = {path.name.removeprefix(first): path for path in stem.parent.glob(f"{glob.escape(first)}*")}
    return [by_number[number] for number in sorted(filter(str.isdecimal, by_number), key=int)]


def is_half_prepared(folder: Path) -> bool:
    """Tell whether a run was interrupted while its folder was prepared, so that nothing is trained yet.

    Raises:
        DataError: The record of the interrupted command is damaged.
    """
    begun = read_unfinished(folder)
    is_begun = begun is not None and begun.command == PREPARING
    return is_begun and not RunFolder(folder).environment.is_file()  # which is written last


def refuse_taken(folder: Path) -> None:
    """Check that the run folder can be created and does not exist, before reading data.

    The folder of a run that was interrupted while it was prepared is free: all files in it are limner's, and
    are written again.

    Raises:
        ConfigError: The folder is not empty, or cannot be created.
        DataError: The record of an interrupted command in it is damaged.
    """
    if is_half_prepared(folder):
        return
    is_run = RunFolder(folder).plan.is_file()
    other = f", or resume it: limner train --resume {folder}" if is_run else "."
    above = next(f for f in (folder, *folder.parents) if f.exists())
    if not above.is_dir():
        found = f"a file, {above}"
    elif folder.is_dir() and not all(map(is_of_a_kill, folder.iterdir())):
        found = "a run" if is_run else "a folder that is not empty"
    else:
        return
    raise ConfigError(
        describe(
            "The run's folder is already in use",
            where=folder,
            found=found,
            expected="an unused name",
            fix=f"Choose another --run{other}",
        )
    )
