"""Graceful stop: on Ctrl-C or a scheduler's SIGTERM, the running step is completed first."""

import signal
import threading
from types import FrameType, TracebackType


class Interruption:
    """Context in which the first SIGINT or SIGTERM only sets `requested`; a second one acts at once."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Interruption":
        # Only the main thread can set handlers; in others signals keep their usual effect.
        if threading.current_thread() is threading.main_thread():
            for kind in (signal.SIGINT, signal.SIGTERM):
                self._previous[kind] = signal.signal(kind, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        while self._previous:
            kind, handler = self._previous.popitem()
            signal.signal(kind, handler)  # type: ignore[arg-type]  # what signal.signal itself returned
