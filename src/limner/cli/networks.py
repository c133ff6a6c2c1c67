"""`limner networks`: the table of architectures."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from limner.api.networks import NetworkRow


def networks(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the page docs/networks.md instead of a table.")
    ] = False,
) -> None:
    """List the networks: paper, year, tasks, and parameters with 19 classes and 3 channels."""
    from limner.api.networks import networks as list_networks

    rows = list_networks()
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    elif as_markdown:
        print(_markdown(rows))
    else:
        _print_table(rows)


def _print_table(rows: "list[NetworkRow]") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, caption_justify="left", caption=_CAPTION)
    for title in ("network", "variant"):
        table.add_column(title, no_wrap=True)
    for title in ("parameters", "year"):
        table.add_column(title, justify="right", no_wrap=True)
    for title in ("for", "paper"):
        table.add_column(title)
    previous = ""
    for row in rows:
        first = row.name != previous
        if first and previous:
            table.add_section()
        previous = row.name
        table.add_row(
            f"[bold]{row.name}[/bold]" if first else "",
            row.variant,
            f"{row.parameters / 1e6:.1f} M",
            str(row.year) if first else "",
            f"{', '.join(row.tasks)} {_dims(row)}" if first else "",
            row.paper if first else "",
        )
    Console().print(table)


_CAPTION = (
    "Parameters with 19 classes and 3 channels, side heads included. "
    "limner train DATA --network NAME; --set network.options.backbone=resnet18"
)


def _markdown(rows: "list[NetworkRow]") -> str:
    lines = [
        "# The networks",
        "",
        "This page is what `limner networks --markdown` prints. Parameters are those with 19 classes and",
        "3 channels, side heads included.",
        "",
        "| network | variant | parameters | dimensions | pretrained encoder |",
        "|---|---|---:|---|---|",
    ]
    lines += [
        f"| `{row.name}` | {row.variant} | {row.parameters:,} | {_dims(row)} "
        f"| {'yes' if row.pretrained else 'no'} |"
        for row in rows
    ]
    seen: set[str] = set()
    for row in rows:
        if row.name not in seen:
            seen.add(row.name)
            lines += ["", *_section([other for other in rows if other.name == row.name])]
    return "\n".join(lines)


def _section(rows: "list[NetworkRow]") -> list[str]:
    row = rows[0]
    code = f"; code: <{row.code}> ({row.licence})" if row.code else ""
    lines = [f"## {row.title}", "", row.good_for, "", f"{row.paper} ({row.year}), <{row.url}>{code}.", ""]
    lines.append("```python")
    for each in rows:
        options = "".join(f", {key}={value!r}" for key, value in each.options.items())
        lines.append(f'build_network("{each.name}", num_classes=19{options})  # {each.parameters:,}')
    return [*lines, "```"]


def _dims(row: "NetworkRow") -> str:
    return " and ".join(f"{dims}D" for dims in row.spatial_dims)
