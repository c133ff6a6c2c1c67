"""Several processes that answer at one address, each with the models in its own memory."""

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType

from limner.core.errors import LimnerError

Serve = Callable[[socket.socket, Callable[[], None]], None]
"""Loads the models, and answers at a listening socket until SIGTERM or SIGINT; calls back once it answers. It
is imported in each process, so it is a function of a module, or a `functools.partial` of one."""


def serve_in_workers(
    serve: Serve, listening: socket.socket, *, workers: int, ready: Callable[[], None], patience: float
) -> None:
    """Answer in several processes until SIGINT or SIGTERM.

    Every process accepts connections at the same socket, so the system gives each request to one that is
    free. If one ends by itself, all are stopped, so that it is noticed.

    Args:
        serve: What each process does.
        listening: The socket.
        workers: Number of processes.
        ready: Called once all of them answer.
        patience: Maximum seconds for requests in progress when the server is stopped.

    Raises:
        LimnerError: A worker could not start, with its own message, or ended.
    """
    context = multiprocessing.get_context("spawn")  # PyTorch's threads do not survive a fork
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stopped: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)

    members: list[tuple[SpawnProcess, Connection]] = []
    try:
        for number in before:
            signal.signal(number, stop)
        for _ in range(workers):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(serve, listening, theirs), daemon=True)
            process.start()
            theirs.close()
            members.append((process, ours))
        _follow(members, stopped, ready)
    finally:
        _stop([process for process, _ in members], patience)
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(
    members: Sequence[tuple[SpawnProcess, Connection]], stopped: Sequence[int], ready: Callable[[], None]
) -> None:
    """Wait until a signal, or until a worker ends.

    Raises:
        LimnerError: A worker ended.
    """
    left = {connection: process for process, connection in members}
    num_ready = 0
    while not stopped:
        for connection in wait(list(left), timeout=0.2):
            assert isinstance(connection, Connection)
            try:
                said: str | None = connection.recv()
            except EOFError:
                if stopped:
                    return
                said = _ended(left[connection])
            if said is not None:
                raise LimnerError(said)
            num_ready += 1
            if num_ready == len(members):
                ready()


def _ended(process: SpawnProcess) -> str:
    process.join(1)
    return (
        f"A worker of the server ended, with exit code {process.exitcode}, so the server was stopped. If the "
        "memory did not suffice, serve with fewer workers."
    )


def _stop(processes: Sequence[SpawnProcess], patience: float) -> None:
    """Stop the workers; requests in progress are finished, for at most `patience` seconds."""
    for process in processes:
        if process.is_alive():
            process.terminate()
    until = time.monotonic() + patience
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()


def _work(serve: Serve, listening: socket.socket, parent: Connection) -> None:
    """Serve in a new process; errors that the user can fix go to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends this one by SIGTERM
    try:
        serve(listening, lambda: parent.send(None))
    except LimnerError as error:
        parent.send(str(error))
        os._exit(1)
