"""Answers that reach clients which are still sending.

A request that is refused early has a body that is not read. Closing the connection then would reset it, and
most clients would report a broken connection instead of the answer.
"""

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER = 3.0
"""Maximum seconds for which the rest of a body is received and discarded."""


class DiscardRest:
    """Sends the answer, then discards what the client still sends, and ends the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        is_read = not _has_body(scope)

        async def received() -> Message:
            nonlocal is_read
            message = await receive()
            is_read = not message.get("more_body", False)
            return message

        async def discard() -> None:
            while not is_read:
                await received()

        async def sent(message: Message) -> None:
            is_end = message["type"] == "http.response.body" and not message.get("more_body", False)
            if not is_end or is_read:
                await send(message)
                return
            await send({**message, "more_body": True})
            with suppress(asyncio.TimeoutError, TimeoutError):
                await asyncio.wait_for(discard(), LINGER)
            await send({"type": "http.response.body", "body": b""})

        await self._app(scope, received, sent)


def _has_body(scope: Scope) -> bool:
    if scope["type"] != "http":
        return False
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
