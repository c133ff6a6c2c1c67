"""`limner.serve()`: an HTTP service of trained models, with a web page."""

import socket
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from limner.core.errors import ConfigError, MissingPartError
from limner.storage.text_files import read_lines
from limner.storage.user_paths import user_path

if TYPE_CHECKING:
    from limner.serving.image_fetching import ImageFetcher
    from limner.serving.limits import Limits

LIBRARIES = {"starlette": "starlette", "uvicorn": "uvicorn", "python-multipart": "python_multipart"}
"""Library -> module of the extra `serve`."""

SHORTEST_TOKEN = 16
"""Characters that a token needs."""


def serve(
    models: Sequence[Path | str] | Path | str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    token_file: Path | str | None = None,
    keep: Path | str | None = None,
    data: Path | str | None = None,
    label_studio: str | None = None,
    label_studio_token_file: Path | str | None = None,
    max_megabytes: float = 64.0,
    max_pixels: int = 100_000_000,
    queue: int = 128,
    timeout: float = 60.0,
    allow_origins: Sequence[str] = (),
    allow_hosts: Sequence[str] = (),
    value_range: tuple[float, float] | None = None,
    device: str = "auto",
    precision: str | None = None,
    workers: int = 1,
    ready: Callable[[str], None] = print,
) -> None:
    """Serve trained models over HTTP until the process is stopped; requests in progress are finished first.

    Args:
        models: Model folders or runs; the first is the default.
        host: Address to listen at; other than a loopback address needs a token.
        port: Port to listen at; 0 for any that is free.
        token: Token that requests must have, of at least 16 characters.
        token_file: A file whose first line is the token.
        keep: Folder for corrected predictions; by default, none are kept.
        data: A dataset, whose images the page shows with their labels; or a run, whose validation images it
            shows, those with the worst scores first.
        label_studio: Address of Label Studio, whose tasks the first model then predicts below
            ``/label-studio``; images are fetched from this address alone.
        label_studio_token_file: A file whose first line is an access token of Label Studio.
        max_megabytes: Maximum size of a request in 10^6 bytes.
        max_pixels: Maximum number of pixels of an image.
        queue: Maximum number of requests at the same time; further ones are answered with 429.
        timeout: Maximum time in seconds of receiving a request, and again of waiting and computing.
        allow_origins: Other origins whose web pages may use the service, such as ``https://example.org``.
        allow_hosts: Other names under which the service is reached, such as that of a proxy on this machine.
            With a token, requests to other names are then refused.
        value_range: As in `load`.
        device: As in `load`.
        precision: As in `load`.
        workers: Number of processes, each with the models in its own memory. A script that serves with
            several needs ``if __name__ == "__main__":`` around the call.
        ready: Called with the URL of the service once it answers.

    Raises:
        ModelError: A model cannot be loaded.
        ConfigError: An option is wrong, the port is in use, other machines could use it without a token, or
            another server keeps corrections in the folder.
        DataError: The folder for corrections has other files, or the data or the file of the token cannot be
            read.
        MissingPartError: The libraries of the extra `serve` are not installed.
    """
    _refuse_missing_libraries()
    from limner.serving.address import listen, refuse_open_address, url_of
    from limner.serving.limits import Limits

    if workers < 1:
        raise ConfigError(f"--workers is at least 1; found {workers}.")
    if workers > 1 and keep is not None:
        raise ConfigError("Corrections are kept by one process: use --keep without --workers.")
    limits = Limits(max_megabytes, max_pixels, queue, timeout)
    token = _token(token, token_file)
    refuse_open_address(host, token)
    answer = partial(
        _answer,
        paths=[models] if isinstance(models, (str, Path)) else list(models),
        limits=limits,
        token=token,
        keep=None if keep is None else user_path(keep).absolute(),
        data=data,
        fetcher=_fetcher(label_studio, label_studio_token_file, limits),
        origins=tuple(allow_origins),
        hosts=tuple(allow_hosts),
        value_range=value_range,
        device=device,
        precision=precision,
    )
    with listen(host, port) as listening:
        url = url_of(listening)
        if workers == 1:
            answer(listening, lambda: ready(url))
            return
        from limner.serving.workers import serve_in_workers

        serve_in_workers(
            answer, listening, workers=workers, ready=lambda: ready(url), patience=limits.timeout + 5
        )


def _answer(
    listening: socket.socket,
    ready: Callable[[], None],
    *,
    paths: Sequence[Path | str],
    limits: "Limits",
    token: str | None,
    keep: Path | None,
    data: Path | str | None,
    fetcher: "ImageFetcher | None",
    origins: tuple[str, ...],
    hosts: tuple[str, ...],
    value_range: tuple[float, float] | None,
    device: str,
    precision: str | None,
) -> None:
    """Load the models and answer at a socket; importing PyTorch takes seconds, so the port is taken first."""
    from limner.serving.corrections import Corrections
    from limner.serving.run_server import run_server
    from limner.serving.served_models import load_served_models
    from limner.serving.service import Service
    from limner.serving.shown_data import open_shown_data
    from limner.serving.uploads import remove_abandoned

    remove_abandoned()
    loaded = load_served_models(paths, device=device, precision=precision, value_range=value_range)
    corrections = None if keep is None else Corrections(keep)
    if corrections is not None:
        corrections.refuse_unsuitable(loaded)
    shown = None if data is None else open_shown_data(data)
    service = Service(loaded, limits, token, corrections, origins, shown, fetcher, hosts)
    with nullcontext() if corrections is None else corrections.held():
        run_server(service, listening, ready=ready)


def _refuse_missing_libraries() -> None:
    for library, module in LIBRARIES.items():
        if find_spec(module) is None:
            raise MissingPartError(library, "Serving models", "pip install 'limner[serve]'")


def _fetcher(address: str | None, token_file: Path | str | None, limits: "Limits") -> "ImageFetcher | None":
    """Return what fetches images from Label Studio; None without its address.

    Raises:
        ConfigError: The address cannot be used, or there is a token without an address.
        DataError: The file of the token cannot be read.
    """
    from limner.serving.image_fetching import ImageFetcher

    if address is None:
        if token_file is not None:
            raise ConfigError("--label-studio-token-file needs --label-studio, the address of Label Studio.")
        return None
    token = None if token_file is None else _first_line(token_file, what="The token of Label Studio")
    return ImageFetcher(address, token or None, limits)


def _first_line(path: Path | str, *, what: str) -> str:
    return next(iter(read_lines(user_path(path), what=what)), "").strip()


def _token(token: str | None, token_file: Path | str | None) -> str | None:
    """Return the token, or None.

    Raises:
        ConfigError: It is given twice, or too short.
        DataError: The file cannot be read.
    """
    if token is not None and token_file is not None:
        raise ConfigError("Give the token itself or its file, not both.")
    if token_file is not None:
        token = _first_line(token_file, what="The token")
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise ConfigError(
            f"The token is too short: {len(token)} characters; it needs at least {SHORTEST_TOKEN}. Make one "
            "with: python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    return token
