"""Fetch images from the one address that the server was told of: Label Studio's.

Nothing else is fetched: other hosts, other schemes and redirects are refused, so that a request cannot make
the server read addresses that only it can reach.
"""

import json
import time
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from limner.core.errors import ConfigError, describe
from limner.serving.limits import Limits
from limner.serving.refusal import Refusal
from limner.serving.uploads import Upload, stored_upload

ACCESS_SECONDS = 240
"""Use of an access token before it is renewed; Label Studio's are valid for 5 minutes."""


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """Follow no redirect: the answer is then an error with its status."""


@dataclass(eq=False)
class ImageFetcher:
    """Fetches images from Label Studio.

    Attributes:
        address: Address of Label Studio, such as ``http://localhost:8080``.
        token: Its access token: a legacy one, or a personal one, which is exchanged for a short-lived one;
            None sends none.
        limits: Maximum size and time.

    Raises:
        ConfigError: The address is no address of HTTP.
    """

    address: str
    token: str | None
    limits: Limits
    _access: tuple[float, str] = (0.0, "")

    def __post_init__(self) -> None:
        self.address = self.address.rstrip("/")
        parts = urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise ConfigError(
                describe(
                    "The address of Label Studio cannot be used",
                    found=self.address,
                    expected="an address such as http://localhost:8080",
                    fix="Copy it from the browser, up to the port.",
                )
            )

    def fetch(self, place: str, folder: Path) -> Upload:
        """Fetch an image into a folder.

        Args:
            place: Its address in a task: with a host, or from the root of Label Studio.
            folder: A folder without another image.

        Raises:
            Refusal: The address is another server's, or the image cannot be fetched or is too large.
        """
        url = self._url(place)
        name = parse_qs(urlsplit(url).query).get("d", [urlsplit(url).path])[0]
        content = self._read(Request(url, headers=self._headers()), place)  # noqa: S310 - http by _url
        return stored_upload(name, BytesIO(content), folder / "image")

    def _url(self, place: str) -> str:
        own = urlsplit(self.address)
        if place.startswith("/") and not place.startswith("//"):
            below = own.path and place.startswith(f"{own.path}/")
            return f"{own.scheme}://{own.netloc}{place}" if below else f"{self.address}{place}"
        try:
            parts = urlsplit(place)
        except ValueError:
            parts = urlsplit("")
        if (parts.scheme, parts.netloc) == (own.scheme, own.netloc):
            return place
        raise Refusal(
            422,
            "The image is not at the address of Label Studio",
            found=place[:200] or "no address",
            expected=f"an address below {self.address}",
            fix="Upload the images to Label Studio, or serve them from its local storage.",
        )

    def _headers(self) -> dict[str, str]:
        if self.token is None:
            return {}
        if self.token.count(".") != 2:
            return {"Authorization": f"Token {self.token}"}
        since, access = self._access
        if not access or time.monotonic() - since > ACCESS_SECONDS:
            access = self._renewed()
            self._access = (time.monotonic(), access)
        return {"Authorization": f"Bearer {access}"}

    def _renewed(self) -> str:
        """Exchange a personal access token for an access token."""
        place = "/api/token/refresh"
        body = json.dumps({"refresh": self.token}).encode()
        request = Request(  # noqa: S310 - http by __post_init__
            f"{self.address}{place}", body, {"Content-Type": "application/json"}, method="POST"
        )
        try:
            found: Any = json.loads(self._read(request, place))
            return str(found["access"])
        except (ValueError, KeyError, TypeError):
            raise Refusal(
                502,
                "Label Studio did not accept the access token",
                found="an answer without `access`",
                expected="a personal access token of Label Studio",
                fix="Make a token in Account & Settings, and start the server with it.",
            ) from None

    def _read(self, request: Request, place: str) -> bytes:
        limit = self.limits.max_bytes
        try:
            with build_opener(_NoRedirects()).open(request, timeout=self.limits.timeout) as answer:
                content: bytes = answer.read(limit + 1)
        except HTTPError as error:
            raise _not_fetched(place, error.code) from None
        except (URLError, HTTPException, OSError, ValueError) as error:
            raise Refusal(
                502,
                f"Label Studio does not answer at {self.address}",
                found=str(getattr(error, "reason", error)),
                expected="the image",
                fix="Check that it runs, and that this machine reaches it at this address.",
            ) from None
        if len(content) > limit:
            raise Refusal(
                413,
                "The image is too large",
                found=f"more than {limit / 1e6:g} MB at {place}",
                expected=f"at most {self.limits.max_megabytes:g} MB",
                fix="Start the server with a larger --max-mb.",
            )
        return content


def _not_fetched(place: str, status: int) -> Refusal:
    fix = "Check that the image opens in Label Studio."
    if status in (401, 403):
        fix = "Start the server with --label-studio-token-file: an access token of Account & Settings."
    elif 300 <= status < 400:
        fix = "Redirects are not followed: upload the images, or use local storage instead of a cloud's."
    return Refusal(
        502,
        "Label Studio did not return the image",
        found=f"status {status} at {place[:200]}",
        expected="the image",
        fix=fix,
    )
