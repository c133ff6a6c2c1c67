"""`limner plan`: the settings of a run, with reasons."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.option_groups import with_option_groups
from limner.cli.plan_options import PlanOptions
from limner.cli.shared_options import Device

if TYPE_CHECKING:
    from rich.table import Table

    from limner.core.plan import Plan
    from limner.preparation.planned import Planned


@with_option_groups
def plan(
    data: Annotated[Path, typer.Argument(help="A folder of labelled images, a recipe, or a plan.")],
    *,
    wanted: PlanOptions,
    device: Device = "auto",
    out: Annotated[
        Path | None, typer.Option(help="Write the plan to this YAML file, to edit and train.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also show defaults.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print plan and fingerprint as JSON.")] = False,
) -> None:
    """Choose every setting of a run, each with its reason.

    Does not train.
    """
    from limner.cli.console import tracker
    from limner.core.execution import Execution
    from limner.core.plan_text import plan_to_yaml
    from limner.preparation.planned import plan_data, with_shorthands
    from limner.storage.own_outputs import refuse_taken_file, write_own_file

    settings = with_shorthands(**wanted.arguments())
    if out is not None:
        refuse_taken_file(out, by="plan")
    planned = plan_data(data, settings, Execution(device, tracker()))
    if out is not None:
        write_own_file(out, plan_to_yaml(planned.plan), by="plan")
        after = f"Written to {out}. Train with it: limner train {shlex.quote(str(out))}"
    else:
        after = f"Train with this: {train_command(data, wanted, device)}\nSave it to edit: --out plan.yaml"
    if as_json:
        made = planned.plan.model_dump(mode="json")
        print(json.dumps({"fingerprint": planned.fingerprint.to_dict(), "plan": made}, indent=2))
    else:
        _show(planned, after=after, everything=everything)


def _show(planned: "Planned", *, after: str, everything: bool) -> None:
    from limner.cli.console import console
    from limner.cli.fingerprint_page import show_fingerprint

    show_fingerprint(planned.fingerprint)
    console().print(_plan_table(planned.plan, everything=everything))
    console().print(after, soft_wrap=True)


def train_command(data: Path, wanted: PlanOptions, device: str) -> str:
    """Return the command that trains this plan."""
    on = ["--device", device] if device != "auto" else []
    return shlex.join(["limner", "train", str(data), *wanted.words(), *on])


def _plan_table(made: "Plan", *, everything: bool) -> "Table":
    from limner.cli.console import table
    from limner.core.plan_text import flow
    from limner.planning.settings import flatten

    shown = table("setting", "value", "why")
    section = ""
    for key, value in flatten(made).items():
        reason = made.reasons.get(key, "")
        if not (reason or everything):
            continue
        if section and not key.startswith(f"{section}."):
            shown.add_section()
        section = key.partition(".")[0]
        shown.add_row(key, flow(_brief(value)), reason or "limner's default")
    return shown


def _brief(value: object) -> object:
    """Shorten a loss without settings of its own to its name, and leave out what is not set."""
    if isinstance(value, list):
        return [_brief(item) for item in value]
    if isinstance(value, dict) and "name" in value:
        own = {key: item for key, item in value.items() if item not in ({}, 1.0)}
        return own["name"] if len(own) == 1 else own
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if item is not None}
    return value
