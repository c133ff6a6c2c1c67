"""`limner networks`: table of the networks."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from limner.api.networks import NetworkRow

COUNTED = (
    "Parameters with 19 classes and 3 channels, including auxiliary heads; multiply-adds (and time) for "
    "predicting one 512x512 image or one 64x64x64 volume."
)


def networks(
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
    timed: bool = typer.Option(False, "--time", help="Time each one on this CPU, which takes minutes."),
    as_markdown: bool = typer.Option(False, "--markdown", help="Print the page docs/networks.md."),
) -> None:
    """List the networks and their cost.

    Prints paper, year, family, tasks, parameters, multiply-adds and CPU time.
    """
    from limner.api.networks import networks as list_networks
    from limner.cli.console import tracker

    rows = list_networks(timed=timed, track=tracker()) if timed else list_networks()
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    elif as_markdown:
        print(_markdown(rows))
    else:
        _print_table(rows)


def _print_table(rows: "list[NetworkRow]") -> None:
    from limner.cli.console import console, table

    times = ["CPU time"] if rows[0].seconds is not None else []
    costs = ["parameters", "multiply-adds", *times]
    listing = table("network", *costs, "year", "family", "for", "paper", numbers=[*costs, "year"])
    for index, row in enumerate(rows):
        cost = _costs(row)
        if index and row.name == rows[index - 1].name:
            listing.add_row(f"  {row.variant}", *cost)
            continue
        if index:
            listing.add_section()
        name = f"{row.name} ({row.variant})" if row.variant else row.name
        purpose = f"{', '.join(row.tasks)} {_dims(row)}"
        listing.add_row(name, *cost, str(row.year), row.family, purpose, row.paper)
    console().print(listing)
    console().print(f"{COUNTED} Choose with: limner train DATA --network NAME", style="muted")


def _costs(row: "NetworkRow") -> list[str]:
    costs = [f"{row.parameters / 1e6:.1f} M", f"{row.multiply_adds / 1e9:.1f} G"]
    return costs if row.seconds is None else [*costs, f"{row.seconds:.2f} s"]


def _markdown(rows: "list[NetworkRow]") -> str:
    is_timed = rows[0].seconds is not None
    lines = [
        "# The networks",
        "",
        "Train one with `limner train DATA --network NAME`, or a variant with `--network NAME/VARIANT`, "
        "such as `pspnet/resnet18c`; `--set network.options.OPTION=VALUE` sets an option. The task follows "
        "from the labels or from `--task`. [compare-networks](compare-networks.md) trains several networks.",
        "",
        f"This page is what `limner networks --markdown{' --time' if is_timed else ''}` prints. {COUNTED}",
        "",
        "| network | variant | tasks | family | parameters | multiply-adds |"
        f"{' CPU time |' if is_timed else ''} dimensions | pretrained encoder |",
        f"|---|---|---|---|---:|---:|{'---:|' if is_timed else ''}---|---|",
    ]
    lines += [
        f"| `{row.name}` | {row.variant} | {', '.join(row.tasks)} | {row.family} | {row.parameters:,} | "
        f"{' | '.join(_costs(row)[1:])} | {_dims(row)} | {'yes' if row.pretrained else 'no'} |"
        for row in rows
    ]
    seen: set[str] = set()
    for row in rows:
        if row.name not in seen:
            seen.add(row.name)
            lines += ["", *_section([other for other in rows if other.name == row.name])]
    return "\n".join(lines)


def _section(rows: "list[NetworkRow]") -> list[str]:
    from limner.core.settings_table import settings_table
    from limner.networks import NETWORKS

    row = rows[0]
    lines = [f"## {row.title}", "", row.good_for, "", f"Paper: [{row.paper}]({row.url}), {row.year}."]
    if row.code:
        lines.append(f"Reference code: <{row.code}> ({row.licence}).")
    if row.remark:
        lines.append(row.remark)
    lines.append("")
    lines.append("```python")
    for each in rows:
        options = "".join(f", {key}={value!r}" for key, value in each.options.items())
        lines.append(f'build_network("{each.name}", num_classes=19{options})  # {each.parameters:,}')
    options_of = NETWORKS[row.name].options
    table = settings_table(options_of) if options_of.model_fields else []
    return [*lines, "```", *(["", *table] if table else [])]


def _dims(row: "NetworkRow") -> str:
    return " and ".join(f"{dims}D" for dims in row.spatial_dims)
