"""Folder of a long job, which continues there when it is started again with the same arguments."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from limner.core.errors import ConfigError, DataError, describe
from limner.storage.filled_folder import is_of_a_kill
from limner.storage.folder_lock import locked_folder
from limner.storage.json_files import write_json
from limner.storage.output_folder import make_output_folder


@contextmanager
def claimed_folder(
    root: Path,
    setup: str,
    asked: Mapping[str, Any],
    *,
    what: str,
    besides: Collection[str] = (),
    is_shared: bool = False,
) -> Iterator[None]:
    """Hold the folder of a job: a new or empty one, or that of the same job, which then continues.

    Args:
        root: The folder.
        setup: Name of the file in it that stores the arguments of the job.
        asked: The current arguments, JSON-serialisable.
        what: Kind of job, for messages.
        besides: Names of files that may exist before the job starts.
        is_shared: Whether other processes may work there too, with the same arguments.

    Raises:
        ConfigError: The folder holds something else, or another process works there, unless it is shared.
        DataError: The folder cannot be created, or its stored arguments are damaged.
    """
    asked = json.loads(json.dumps(asked))
    make_output_folder(root)
    with nullcontext() if is_shared else locked_folder(root, what=f"the {what}"):
        # In this order: another process that shares the folder writes the arguments first.
        others = [path for path in root.iterdir() if path.name not in (setup, *besides)]
        file = root / setup
        if file.is_file():
            refuse_another(root, _read(file), asked, what)
        elif not all(is_of_a_kill(path) for path in others):
            raise ConfigError(
                describe(f"The folder for the {what} is not empty", where=root, fix="Choose another --out.")
            )
        write_json(file, asked)
        yield


def refuse_another(root: Path | str, begun: Mapping[str, Any], asked: Mapping[str, Any], what: str) -> None:
    """Refuse to continue a job in a folder whose arguments differ.

    Args:
        root: The folder.
        begun: The arguments of the job in the folder.
        asked: The current arguments.
        what: Kind of job, for messages.

    Raises:
        ConfigError: They differ.
    """
    if begun != asked:
        raise ConfigError(
            describe(
                f"The folder belongs to a different {what}",
                where=root,
                found=_in_words(begun),
                expected=_in_words(asked),
                fix="Use the same arguments to continue it, or choose another --out.",
            )
        )


def _read(file: Path) -> dict[str, Any]:
    try:
        begun = json.loads(file.read_bytes())
        if not isinstance(begun, dict):
            raise ValueError("no JSON object")
    except (OSError, ValueError) as error:
        raise DataError(
            describe(
                "The stored arguments of the folder cannot be read",
                where=file,
                found=str(error),
                fix="Delete the file if everything in the folder is of this job, or choose another --out.",
            )
        ) from None
    return begun


def _in_words(asked: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in asked.items())
