"""`limner serve MODEL...`: an HTTP service of trained models, with a web page."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from limner.cli.option_groups import with_option_groups
from limner.cli.shared_options import Device, Precision, Range


@dataclass(frozen=True)
class Address:
    """Where the service listens, and who may use it."""

    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0 for other machines, with a token.")
    ] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any that is free.")] = 8000
    token: Annotated[
        str | None, typer.Option(help="Token that requests must have; others can see it in the process list.")
    ] = None
    token_file: Annotated[
        Path | None, typer.Option(help="File whose first line is the token; safer than --token.")
    ] = None


@dataclass(frozen=True)
class ServiceLimits:
    """What the service refuses."""

    max_mb: Annotated[float, typer.Option(help="Maximum size of a request in MB.")] = 64.0
    max_pixels: Annotated[int, typer.Option(help="Maximum number of pixels of an image.")] = 100_000_000
    queue: Annotated[
        int, typer.Option(help="Maximum number of requests at a time; further ones are told when to retry.")
    ] = 128
    timeout: Annotated[
        float, typer.Option(help="Maximum seconds to receive a request, and to predict it.")
    ] = 60.0


@dataclass(frozen=True)
class LabelStudioOptions:
    """Which Label Studio the service helps."""

    label_studio: Annotated[
        str | None,
        typer.Option(help="Address of Label Studio; this server is then its ML backend, at /label-studio."),
    ] = None
    label_studio_token_file: Annotated[
        Path | None, typer.Option(help="File whose first line is an access token of Label Studio.")
    ] = None


@with_option_groups
def serve(
    models: Annotated[list[Path], typer.Argument(help="Model folders or runs; the first is the default.")],
    *,
    address: Address,
    keep: Annotated[
        Path | None, typer.Option(help="Folder in which corrected predictions are kept as a dataset.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Dataset or run whose images the page shows, the worst first.")
    ] = None,
    limits: ServiceLimits,
    label_studio: LabelStudioOptions,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(help="Another origin whose web pages may use the service; repeatable."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Another name of the service, such as that of a proxy; repeatable."),
    ] = None,
    value_range: Range = None,
    device: Device = "auto",
    precision: Precision = "",
    workers: Annotated[
        int, typer.Option(min=1, help="Number of processes, each with the models in its own memory.")
    ] = 1,
) -> None:
    """Serve models over HTTP, with a web page.

    The page predicts images and corrects predictions. Open the printed address in a browser, or send images
    to it: curl -F images=@photo.jpg http://127.0.0.1:8000/predict. Ctrl-C stops it.
    """
    from limner.api.serve import serve as serve_models

    serve_models(
        models,
        host=address.host,
        port=address.port,
        token=address.token,
        token_file=address.token_file,
        keep=keep,
        label_studio=label_studio.label_studio,
        label_studio_token_file=label_studio.label_studio_token_file,
        data=data,
        max_megabytes=limits.max_mb,
        max_pixels=limits.max_pixels,
        queue=limits.queue,
        timeout=limits.timeout,
        allow_origins=allow_origin or (),
        allow_hosts=allow_host or (),
        value_range=value_range,
        device=device,
        precision=precision or None,
        workers=workers,
        ready=partial(_announce, models),
    )


def _announce(models: list[Path], url: str) -> None:
    """Say that the service answers, and where."""
    from limner.cli.console import console

    console().print(f"Serving {', '.join(map(str, models))} at {url}", style="good")
    console().print("Ctrl-C stops it.", style="muted")
    console().file.flush()
