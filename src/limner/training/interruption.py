"""Graceful stop: on Ctrl-C, SIGTERM of a scheduler or a closed terminal, the running step is completed."""

import signal
import threading
from types import FrameType, TracebackType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interruption:
    """Context in which the first of `SIGNALS` is only noted in `requested`; a second one acts at once.

    An ignored signal stays ignored, such as SIGHUP under ``nohup``.
    """

    def __init__(self) -> None:
        self.requested: int | None = None
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Interruption":
        # Only the main thread can set handlers; in others signals keep their usual effect.
        if threading.current_thread() is threading.main_thread():
            for kind in SIGNALS:
                if signal.getsignal(kind) is not signal.SIG_IGN:
                    self._previous[kind] = signal.signal(kind, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = number
        self._restore()

    def _restore(self) -> None:
        while self._previous:
            kind, handler = self._previous.popitem()
            signal.signal(kind, handler)  # type: ignore[arg-type]  # what signal.signal itself returned
