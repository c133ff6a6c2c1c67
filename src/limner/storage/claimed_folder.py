"""Folder of a long job, which continues there when it is started again with the same arguments."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from limner.core.errors import ConfigError, describe
from limner.storage.json_files import write_json


def claim_folder(
    root: Path, setup: str, asked: Mapping[str, Any], *, what: str, besides: Collection[str] = ()
) -> None:
    """Create the folder, or check that it belongs to the same job, which can then continue.

    Args:
        root: The folder.
        setup: Name of the file in it that stores the arguments of the job.
        asked: The current arguments, JSON-serialisable.
        what: Kind of job, for messages.
        besides: Names of files that may exist before the job starts.

    Raises:
        ConfigError: The folder holds something else.
    """
    asked = json.loads(json.dumps(asked))
    file = root / setup
    if file.is_file():
        begun = json.loads(file.read_text(encoding="utf-8"))
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
    elif root.exists() and any(path.name not in besides for path in root.iterdir()):
        raise ConfigError(
            describe(f"The folder for the {what} is not empty", where=root, fix="Choose another --out.")
        )
    write_json(file, asked)


def _in_words(asked: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in asked.items())
