"""A folder that only one process writes to, also after others were killed, and on disks of several machines.

The lock is the operating system's, on the file ``.limner-lock``: it ends with its process, however that ends.
The file says which process it is. Where the system has no locks, or another machine wrote the file, what it
says decides.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import blake2b
from io import FileIO
from pathlib import Path
from typing import Any

from limner.core.errors import ConfigError, describe
from limner.storage.disk_problems import write_errors_for

LOCK = ".limner-lock"
"""Name of the lock file in the folder."""

FAR = 2**30
"""Position of the byte that Windows locks, beyond the content."""

_ENDED = ("Z", "X")
"""States of processes in Linux that have ended, and whose parent has not noticed yet."""

_held: set[Path] = set()  # the system's locks do not tell apart two holders in one process


@contextmanager
def locked_folder(folder: Path, *, what: str) -> Iterator[None]:
    """Hold a folder that exists, so that no other process writes to it inside the block.

    Args:
        folder: The folder.
        what: The work in it, for messages, such as ``training``.

    Raises:
        ConfigError: Another process holds it; the message names the process and its machine.
        WriteError: The folder cannot be written.
    """
    path = folder.resolve() / LOCK
    if path in _held:
        raise _refusal(path, this_process(what))
    with write_errors_for(path):
        file = _lock(path, what)
    _held.add(path)
    try:
        yield
    finally:
        _held.discard(path)
        with suppress(OSError):  # the folder may be gone; the lock ends with the open file
            path.unlink()
        file.close()


def _lock(path: Path, what: str) -> FileIO:
    """Return the locked file, whose content names this process."""
    while True:
        file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+")
        try:
            is_free = _try_system_lock(file)
            holder = _read(file)
            if is_free is False or (holder and _may_be_running(holder, is_lock_ours=is_free is True)):
                raise _refusal(path, holder)
            if _is_at(path, file):
                file.truncate(0)
                file.seek(0)
                file.write(json.dumps(this_process(what)).encode())
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # its holder has just removed it: lock the next one


def _try_system_lock(file: FileIO) -> bool | None:
    """Return whether the lock was free and is now ours, or None if the disk has no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(FAR)  # a locked byte cannot be read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def _may_be_running(holder: dict[str, Any], *, is_lock_ours: bool) -> bool:
    """Tell whether the process that a lock file names may still run."""
    here = this_process("")
    is_same_boot = holder.get("boot") == here["boot"]
    if not is_same_boot and holder.get("host") != here["host"]:
        return True  # another machine, whose processes and locks may be invisible from here
    if is_lock_ours or not is_same_boot:
        return False
    pid, started = holder.get("process"), holder.get("started")
    return isinstance(pid, int) and started is not None and process_start(pid) == started


def this_process(what: str) -> dict[str, Any]:
    """Return what tells this process from all others, of this host and of others."""
    return {
        "process": os.getpid(),
        "host": platform.node(),
        "boot": _boot(),
        "space": process_space(),
        "started": process_start(os.getpid()),
        "what": what,
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def has_ended(holder: Mapping[str, Any]) -> bool:
    """Tell whether a process that `this_process` described has surely ended.

    False if that cannot be seen from here, such as on another host or in another container.
    """
    if holder.get("boot") != _boot():
        return bool(holder.get("host") == platform.node())  # this host was started anew since
    pid, started = holder.get("process"), holder.get("started")
    if holder.get("space") != process_space() or not isinstance(pid, int) or started is None:
        return False
    return bool(process_start(pid) != started)


def _boot() -> str:
    """Return an id of the running system, which containers on a machine share; the host's name elsewhere."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return platform.node()


def process_space() -> str:
    """Return a short id of the system or container in which ids of processes mean the same as here."""
    try:
        container = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        container = ""
    return blake2b(f"{platform.node()} {_boot()} {container}".encode(), digest_size=6).hexdigest()


def process_start(pid: int) -> str | None:
    """Return the time when a process was started, so that reused ids differ; None if it does not run."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return _runs(pid)
    state, *others = fields.rpartition(")")[2].split()
    return None if state in _ENDED else others[18]


def _runs(pid: int) -> str | None:
    if Path("/proc/self").exists() or os.name == "nt":  # on Windows, signal 0 would end the process
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return "running"


def _read(file: FileIO) -> dict[str, Any]:
    """Return what the lock file says; nothing if it is empty or damaged."""
    try:
        file.seek(0)
        said = json.loads(file.read(4096) or b"{}")
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _is_at(path: Path, file: FileIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except OSError:
        return False


def _refusal(path: Path, holder: dict[str, Any]) -> ConfigError:
    host = holder.get("host", "an unknown machine")
    is_here = host == platform.node()
    found = f"{holder.get('what') or 'limner'}, process {holder.get('process', 'unknown')} on {host}"
    return ConfigError(
        describe(
            "Another process writes to this folder",
            where=path.parent,
            found=f"{found}, since {holder.get('since', 'an unknown time')}",
            expected="one process at a time",
            fix="Wait until it ends, or stop it."
            if is_here
            else f"Wait until it ends. If it no longer runs (look on {host}), delete {path}.",
        )
    )
