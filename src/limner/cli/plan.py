"""`limner plan`: the settings of a run, with reasons."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from limner.core.plan import Plan
    from limner.preparation.planned import Planned


def plan(
    data: Annotated[Path, typer.Argument(help="A folder of labelled images, a recipe, or a plan.")],
    task: Annotated[
        str | None, typer.Option(help="A task, such as instance; default: the first that the labels are for.")
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="A name in `limner networks`, such as pspnet or pspnet/resnet18c.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Start from a model, a run, or another project's checkpoint.")
    ] = None,
    teacher: Annotated[Path | None, typer.Option(help="Also learn the outputs of this model.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a value, such as train.steps=2000."),
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Time budget for training.")] = None,
    spatial: Annotated[
        str | None,
        typer.Option(help="Volumes: 2d (slices), 2.5d (slices with their neighbours), 3d or auto (default)."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps, ...")] = "auto",
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
    from limner.core.config import merge_assignments
    from limner.core.execution import Execution
    from limner.core.plan_text import plan_to_yaml
    from limner.preparation.planned import plan_data, with_shorthands
    from limner.storage.own_outputs import refuse_taken_file, write_own_file

    named: dict[str, Any] = {"task": task, "network": network, "weights": weights, "teacher": teacher}
    named |= {"minutes": minutes, "spatial": spatial}
    wanted = with_shorthands(merge_assignments(settings or ()), **named)
    if out is not None:
        refuse_taken_file(out, by="plan")
    planned = plan_data(data, wanted, Execution(device, tracker()))
    if out is not None:
        write_own_file(out, plan_to_yaml(planned.plan), by="plan")
        after = f"Written to {out}. Train with it: limner train {shlex.quote(str(out))}"
    else:
        same = _train_command(data, **named, settings=settings or (), device=device)
        after = f"Train with this: {same}\nSave it to edit: --out plan.yaml"
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


def _train_command(
    data: Path,
    *,
    task: str | None,
    network: str | None,
    weights: Path | None,
    teacher: Path | None,
    minutes: float | None,
    spatial: str | None,
    settings: Sequence[str],
    device: str,
) -> str:
    """Return the command that trains this plan."""
    parts = ["limner", "train", str(data)]
    parts += ["--task", task] if task else []
    parts += ["--network", network] if network else []
    parts += ["--weights", str(weights)] if weights else []
    parts += ["--teacher", str(teacher)] if teacher else []
    parts += ["--minutes", f"{minutes:g}"] if minutes is not None else []
    parts += ["--spatial", spatial] if spatial else []
    parts += ["--device", device] if device != "auto" else []
    for assignment in settings:
        parts += ["--set", assignment]
    return shlex.join(parts)


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
