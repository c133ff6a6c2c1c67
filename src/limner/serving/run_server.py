"""Run the service until it is stopped."""

import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from limner.serving.service import Service

LONGEST_IDLE = 5
"""Seconds after which a connection without requests is closed."""


class _Server(uvicorn.Server):
    """Server that calls back as soon as it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def run_server(service: Service, listening: socket.socket, *, ready: Callable[[], None]) -> None:
    """Answer requests until SIGINT or SIGTERM; those in progress are finished, for at most `Limits.timeout`.

    Args:
        service: The service.
        listening: The socket at which it listens.
        ready: Called once it answers.
    """
    config = uvicorn.Config(
        service.app(),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=LONGEST_IDLE,
        timeout_graceful_shutdown=int(service.limits.timeout) + 1,
    )
    # uvicorn sends itself the signals that stopped it, once it is done: here they have done their work.
    before = {number: signal.signal(number, _ignored) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        _Server(config, ready).run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignored(number: int, frame: FrameType | None) -> None:
    """Do nothing."""
