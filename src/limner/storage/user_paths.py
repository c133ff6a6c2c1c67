"""Paths as users give them, the one door for all commands and functions."""

import errno
import os
from pathlib import Path

from limner.core.errors import ConfigError, describe

IMPOSSIBLE = (errno.ENAMETOOLONG, errno.ELOOP)
"""Errors of paths at which there can be no file."""

SHOWN = 60
"""Number of characters of a long path in a message."""


def user_path(path: str | os.PathLike[str]) -> Path:
    """Return the path that a user gave, with ``~`` and ``~name`` expanded.

    Raises:
        ConfigError: It names the home of an unknown user, or the system refuses such a path.
    """
    given = os.fspath(path)
    try:
        found = Path(given).expanduser()
        os.lstat(found)
    except RuntimeError as error:  # of expanduser
        raise ConfigError(
            describe(
                "A path begins with ~ and the name of a user who does not exist here",
                where=_shortened(given),
                found=str(error),
                fix="Write the whole path of the folder.",
            )
        ) from None
    except ValueError as error:
        raise _refusal(given, str(error)) from None
    except OSError as error:
        if error.errno in IMPOSSIBLE:
            raise _refusal(given, f"{len(given)} characters: {error.strerror}") from None
    return found


def _refusal(given: str, found: str) -> ConfigError:
    return ConfigError(
        describe(
            "The path cannot be used",
            where=_shortened(given),
            found=found,
            fix="Use another path.",
        )
    )


def _shortened(given: str) -> str:
    return f"{given[:SHOWN]}..." if len(given) > SHOWN else given
