"""Middleware that decides who may use the service, and limits what they send."""

import base64
import hmac
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limner.serving.address import is_loopback
from limner.serving.limits import Limits
from limner.serving.refusal import Refusal

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content security policy of the page: nothing is loaded from elsewhere."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class AddHeaders:
    """Adds headers to every answer."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str] = HEADERS) -> None:
        self._app, self._headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await self._app(scope, receive, sent)


class RefuseStrangers:
    """Refuses requests without the token, or, where there is none, those that another web page sends.

    A page of the internet that is open in a browser can send requests to this machine. Without a token, only
    names of this machine are accepted as its host, and only the service's own page as their origin.

    Args:
        app: The service.
        token: The token; None accepts requests without one.
        public: Addresses that need no token.
        origins: Other origins whose pages may use the service.
        hosts: Other names of the service in the `Host` of requests. Where there are some, requests with a
            token are refused too if they were sent to another name.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str | None,
        public: Collection[str],
        origins: Collection[str],
        hosts: Collection[str],
    ) -> None:
        self._app, self._token, self._public = app, token, public
        self._origins, self._hosts = origins, {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            by_token = self._without_token if self._token is None else self._with_token
            refusal = self._of_other_host(scope) or by_token(scope)
            if refusal is not None:
                await refusal.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _of_other_host(self, scope: Scope) -> Refusal | None:
        host = Headers(scope=scope).get("host", "")
        name = _without_port(host)
        takes_any = self._token is not None and not self._hosts
        if takes_any or is_loopback(name) or name in self._hosts:
            return None
        return Refusal(
            403,
            "The request was sent to another host",
            found=f"Host: {host}",
            expected=", ".join(("localhost or a loopback address", *sorted(self._hosts))),
            fix="Use the address that the server printed, or start it with --allow-host and this name.",
        )

    def _with_token(self, scope: Scope) -> Refusal | None:
        assert self._token is not None
        if scope["path"] in self._public or scope["method"] == "OPTIONS":
            return None
        kind, _, sent = Headers(scope=scope).get("authorization", "").partition(" ")
        sent = _password(sent) if kind.lower() == "basic" else sent.strip()
        if kind.lower() in ("bearer", "basic") and hmac.compare_digest(sent.encode(), self._token.encode()):
            return None
        return Refusal(
            401,
            "The request has no valid token",
            found="another token" if kind else "no Authorization",
            expected="Authorization: Bearer TOKEN",
            fix="Send the token with which the server was started.",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _without_token(self, scope: Scope) -> Refusal | None:
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is None or origin in self._origins or urlsplit(origin).netloc == headers.get("host"):
            return None
        return Refusal(
            403,
            "The request comes from a page of another origin",
            found=f"Origin: {origin}",
            expected="the server's own page",
            fix="Start the server with --allow-origin and this origin.",
        )


def _password(sent: str) -> str:
    """Return the password of basic authentication, which is all that Label Studio can send."""
    try:
        return base64.b64decode(sent.strip(), validate=True).decode().partition(":")[2]
    except ValueError:  # of base64, or of the text
        return ""


def _without_port(host: str) -> str:
    """Return the name in a ``Host`` header; empty if it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


class LimitBody:
    """Refuses bodies that are too large: by their stated length before they are read, else while they are."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app, self._limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        stated = Headers(scope=scope).get("content-length", "") if scope["type"] == "http" else ""
        if stated.isdigit() and int(stated) > self._limits.max_bytes:
            await self._too_large(f"{int(stated) / 1e6:.1f} MB")(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limits.max_bytes:
                raise self._refusal(f"more than {received / 1e6:.1f} MB")
            return message

        await self._app(scope, counted, send)

    def _too_large(self, found: str) -> ASGIApp:
        return self._refusal(found).response()

    def _refusal(self, found: str) -> Refusal:
        return Refusal(
            413,
            "The request is too large",
            found=found,
            expected=f"at most {self._limits.max_megabytes:g} MB",
            fix="Send fewer or smaller images, or start the server with a larger --max-mb.",
        )
