"""`limner measure NETWORK|MODEL --size 512x1024`: size and speed of a network."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.number_options import parse_size
from limner.cli.shared_options import Device

if TYPE_CHECKING:
    from limner.api.measure import Measured


def measure(
    target: Annotated[str, typer.Argument(help="A name in `limner networks`, or a model or run folder.")],
    size: Annotated[
        str, typer.Option(help="Height x width of the images, such as 512x1024; 64x64x64 for volumes.")
    ] = "",
    batch: Annotated[int, typer.Option(min=1, help="Batch size.")] = 1,
    num_classes: Annotated[
        int, typer.Option("--classes", min=1, help="Number of classes, for a named network.")
    ] = 19,
    channels: Annotated[int, typer.Option(min=1, help="Number of image channels, for a named network.")] = 3,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure the cost of a network or a model.

    Prints parameters, multiply-adds, memory, latency and time by stage.
    """
    from dataclasses import asdict

    from limner.api.measure import measure as measure_network

    found = measure_network(
        target,
        size=parse_size(size, option="--size") if size else None,
        batch=batch,
        num_classes=num_classes,
        channels=channels,
        device=device,
        precision=precision,
    )
    if as_json:
        print(json.dumps(asdict(found), indent=2))
    else:
        _show(found)


def _show(found: "Measured") -> None:
    from limner.cli.console import console, table

    made = table("part", "parameters", "share", numbers=("parameters", "share"))
    for part, count in found.parts.items():
        made.add_row(part, f"{count:,}", f"{100 * count / max(1, found.parameters):.1f} %")
    made.add_section()
    made.add_row("whole", f"{found.parameters:,}", "")
    console().print(made)
    speed = found.speed
    size, resized = ("x".join(map(str, of)) for of in (found.size, found.network_size))
    seen = "" if resized == size else f"; resized to {resized} for the network, as the model's plan says"
    shares = ", ".join(f"{stage} {100 * part:.0f} %" for stage, part in speed.shares.items())
    lines = [
        f"input           {found.batch} x {found.channels} x {size}, {found.num_classes} classes{seen}",
        f"multiply-adds   {found.multiply_adds / 1e9:.2f} G (convolutions, matrix products and attention)",
        f"latency         {1000 * speed.median_seconds:.1f} ms median, 95 % within "
        f"{1000 * speed.percentile_95_seconds:.1f} ms ({speed.passes} passes)",
        f"throughput      {speed.images_per_second:.2f} images per second",
        f"time            {shares}",
    ]
    if speed.peak_bytes is not None:
        lines.append(f"peak memory     {speed.peak_bytes / 2**20:,.0f} MiB")
    lines.append(f"on              {found.device}, {found.precision}")
    console().print("\n".join(lines))
