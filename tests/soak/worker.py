"""Runs calls, each in a process forked from this one, which has imported everything that they need.

`python worker.py` reads one call a line, as JSON: the module beside this file, the function, its arguments,
and when the process is to be killed. It answers each with a line that says how the process ended. After a
call to `learn` from, it imports what the call did, so that later ones need not. `Worker` in `conftest.py` is
its other side.
"""

import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from limner.core.errors import LimnerError, WriteError

FILE_EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
"""Python's audit events of changes on disk; `open` is one too, if it is for writing."""

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
MEMORY = 8 * 2**30
"""Bytes of address space that a call may take beyond those at its beginning, so that the machine survives."""


def serve() -> None:
    """Answer the calls on standard input."""
    for name in ("jobs", "damage"):
        importlib.import_module(name)
    for line in sys.stdin:
        answer = _run(json.loads(line))
        for name in answer.pop("imported", ()):
            with suppress(Exception):  # some modules exist only while they are in use
                importlib.import_module(name)
        print(json.dumps(answer), flush=True)


def _run(call: dict[str, Any]) -> dict[str, Any]:
    """Fork, wait, and kill the process when it is time."""
    reading, writing = os.pipe()
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _call(call, writing)
        os._exit(0)
    os.close(writing)
    kill_after, most = call.get("kill_after"), call["most_seconds"]
    is_over_time = False
    file = os.fdopen(reading, "rb")
    os.set_blocking(reading, False)
    told = b""
    while True:
        told += file.read() or b""
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        seconds = time.monotonic() - began
        if ended:
            break
        is_over_time = seconds > most
        if is_over_time or (kill_after is not None and seconds > kill_after):
            os.kill(pid, signal.SIGKILL)
            _, status, usage = os.wait4(pid, 0)
            break
        time.sleep(0.002)
    with file:
        told += file.read() or b""
    answer = json.loads(told) if told else {"ended": "over time" if is_over_time else "killed"}
    if not told and os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
        answer = {"ended": "crashed", "said": signal.Signals(os.WTERMSIG(status)).name}
    return answer | {"seconds": seconds, "megabytes": usage.ru_maxrss / 1024}


def _call(call: dict[str, Any], told: int) -> None:
    """Run a call in this process, and write to `told` how it ended."""
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silent, stream)
    os.chdir(call["folder"])
    os.environ["LIMNER_CACHE"] = str(Path(call["folder"], "cache"))
    held = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
    events = _count_file_events(call.get("kill_at"))
    try:
        function = getattr(importlib.import_module(call["module"]), call["function"])
        answer = {"ended": "done", "value": function(Path(call["folder"]), **call["arguments"])}
    except LimnerError as error:
        kind = "disk" if isinstance(error, WriteError) else "refused"
        answer = {"ended": kind, "said": str(error)}
    except BaseException:
        answer = {"ended": "fault", "said": traceback.format_exc()[-3000:]}
    if call.get("learn"):
        answer["imported"] = sorted(sys.modules)
    with os.fdopen(told, "wb") as file:
        file.write(json.dumps(answer | {"events": events[0]}).encode())


def _count_file_events(kill_at: int | None) -> list[int]:
    """Count changes on disk in a list of one number; the process kills itself before the `kill_at`-th."""
    events = [0]

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        is_change = event in FILE_EVENTS or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        )
        if is_change and arguments[0] != os.devnull:
            events[0] += 1
            if events[0] == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)
    return events


if __name__ == "__main__":
    serve()
