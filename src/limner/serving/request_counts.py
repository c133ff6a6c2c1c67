"""Counts and times of requests, as text for Prometheus."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

import psutil
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of seconds in the histograms."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class RequestCounts:
    """Counts requests and images; safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._images: Counter[str] = Counter()
        self._seconds = {"request": _Histogram(), "prediction": _Histogram()}

    def add_request(self, path: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        with self._lock:
            self._requests[path, status] += 1
            self._seconds["request"].add(seconds)

    def add_image(self, model: str, seconds: float) -> None:
        """Count a predicted image."""
        with self._lock:
            self._images[model] += 1
            self._seconds["prediction"].add(seconds)

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """Return all counts.

        Args:
            gauges: Name -> meaning and present value, of further numbers.
        """
        with self._lock:
            lines = _head("limner_requests_total", "counter", "Answered requests.")
            for (path, status), count in sorted(self._requests.items()):
                lines.append(f'limner_requests_total{{path="{path}",status="{status}"}} {count}')
            lines += _head("limner_images_total", "counter", "Predicted images.")
            for model, count in sorted(self._images.items()):
                lines.append(f'limner_images_total{{model="{_escaped(model)}"}} {count}')
            for name, histogram in self._seconds.items():
                lines += histogram.lines(f"limner_{name}_seconds", f"Seconds of each {name}.")
        memory = psutil.Process().memory_info().rss
        numbers = {**gauges, "process_resident_memory_bytes": ("Memory of the server.", memory)}
        for name, (meaning, value) in numbers.items():
            lines += [*_head(name, "gauge", meaning), f"{name} {value}"]
        return "\n".join(lines) + "\n"


class _Histogram:
    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        place = next((i for i, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))
        self._counts[place] += 1
        self._sum += seconds

    def lines(self, name: str, meaning: str) -> list[str]:
        lines, total = _head(name, "histogram", meaning), 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self._counts, strict=True):
            total += count
            lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
        return [*lines, f"{name}_sum {self._sum:.6f}", f"{name}_count {total}"]


class CountRequests:
    """Middleware that counts answered requests of known addresses by status."""

    def __init__(self, app: ASGIApp, counts: RequestCounts, known: Callable[[str], str]) -> None:
        self._app, self._counts, self._known = app, counts, known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            self._counts.add_request(self._known(scope["path"]), status, time.perf_counter() - started)


def _head(name: str, kind: str, meaning: str) -> list[str]:
    return [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
