"""A folder that a long piece of work goes on in when it is called again, and no other piece of work."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from limner.core.errors import ConfigError, describe
from limner.storage.json_files import write_json


def claim_folder(
    root: Path, setup: str, asked: Mapping[str, Any], *, what: str, besides: Collection[str] = ()
) -> None:
    """Make the folder, or see that it holds the beginning of this very work.

    Args:
        root: The folder.
        setup: The file in it that says what was asked for.
        asked: What is asked for now, as JSON has it.
        what: The work, for messages.
        besides: Files that may lie there before the work begins.

    Raises:
        ConfigError: It holds something else.
    """
    asked = json.loads(json.dumps(asked))
    file = root / setup
    if file.is_file():
        begun = json.loads(file.read_text(encoding="utf-8"))
        if begun != asked:
            raise ConfigError(
                describe(
                    f"This folder holds another {what}",
                    where=root,
                    found=_in_words(begun),
                    expected=_in_words(asked),
                    fix="Ask for the same again to go on with it, or choose another --out.",
                )
            )
    elif root.exists() and any(path.name not in besides for path in root.iterdir()):
        raise ConfigError(
            describe(f"The folder of the {what} is already taken", where=root, fix="Choose another --out.")
        )
    write_json(file, asked)


def _in_words(asked: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in asked.items())
