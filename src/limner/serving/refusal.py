"""Refused requests: a status, and JSON with what was found, what is expected and how to fix it."""

import logging
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from limner.core.errors import ConfigError, DataError, Description, LimnerError, ModelError

LOG = logging.getLogger("limner.serving")

STATUS: dict[type[LimnerError], int] = {ModelError: 503, DataError: 422, ConfigError: 400}
"""Status of limner's errors; that of all others is 500."""


class Refusal(Exception):  # noqa: N818 - an answer rather than a failure of the program
    """A request that is refused.

    Attributes:
        status: HTTP status.
        content: ``error``, and if known ``found``, ``expected`` and ``fix``.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        error: str,
        *,
        found: str = "",
        expected: str = "",
        fix: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Compose the answer."""
        super().__init__(error)
        self.status = status
        self.content = {"error": error, "found": found, "expected": expected, "fix": fix}
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Return the answer."""
        return JSONResponse(self.content, self.status, headers=self.headers)


def as_refusal(error: LimnerError, *, names: Mapping[str, str] | None = None) -> Refusal:
    """Return the refusal for an error of limner.

    Args:
        error: The error.
        names: Path of a temporary file -> name of the file in the request, by which it is replaced.
    """
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)
    message = error.args[0] if error.args and isinstance(error.args[0], Description) else None
    if message is None:
        return Refusal(status, _renamed(str(error), names))
    what = f"{message.what}: {message.where}" if message.where else message.what
    return Refusal(
        status,
        _renamed(what, names),
        found=_renamed(message.found, names),
        expected=_renamed(message.expected, names),
        fix=_renamed(message.fix, names),
    )


async def answer_refusal(request: Request, error: Exception) -> Response:
    """Answer a `Refusal`."""
    assert isinstance(error, Refusal)
    return error.response()


async def answer_gone(request: Request, error: Exception) -> Response:
    """Answer a client that closed the connection while it sent, so that nothing is logged as a failure."""
    return gone().response()


def gone() -> Refusal:
    """Return the answer that a client that closed the connection does not see; counts have its status."""
    return Refusal(499, "The client closed the connection")


async def answer_limner_error(request: Request, error: Exception) -> Response:
    """Answer an error of limner."""
    assert isinstance(error, LimnerError)
    return as_refusal(error).response()


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Answer an error of Starlette, such as for an unknown address."""
    status, headers = getattr(error, "status_code", 500), getattr(error, "headers", None)
    what = f"{request.method} {request.url.path}: {getattr(error, 'detail', 'an error')}"
    fix = "GET /openapi.json describes every address." if status in (404, 405) else ""
    return Refusal(status, what, fix=fix, headers=headers).response()


async def answer_failure(request: Request, error: Exception) -> Response:
    """Answer an unexpected error without its details, which are in the log."""
    LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    fix = "Report it with the lines of the server's log."
    return Refusal(500, "The server failed; its log has the details", fix=fix).response()


def _renamed(text: str, names: Mapping[str, str] | None) -> str:
    for path, name in (names or {}).items():
        text = text.replace(path, name)
    return text
