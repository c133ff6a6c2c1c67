"""Options of the commands that make a plan."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from limner.cli.shared_options import Network, Spatial, Task


@dataclass(frozen=True)
class PlanOptions:
    """What the user decides of a plan; the rest follows from the data."""

    task: Task = None
    network: Network = None
    weights: Annotated[
        Path | None,
        typer.Option(help="Start from a model, a run, or another project's checkpoint (`limner import`)."),
    ] = None
    teacher: Annotated[
        Path | None, typer.Option(help="Teacher whose outputs are learned too: a model, a run, a checkpoint.")
    ] = None
    unlabelled: Annotated[
        Path | None,
        typer.Option(help="With --weights: also train on their confident predictions for these images."),
    ] = None
    minutes: Annotated[float | None, typer.Option(help="Time budget for training.")] = None
    spatial: Spatial = None
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a value of the plan, such as train.steps=2000."),
    ] = None

    def nested_settings(self) -> dict[str, Any]:
        """Return the values of ``--set``, nested as in plan.yaml.

        Raises:
            ConfigError: One is not KEY=VALUE, or a key is set twice.
        """
        from limner.core.config import merge_assignments

        return merge_assignments(self.settings or ())

    def arguments(self) -> dict[str, Any]:
        """Return the options as arguments of the verbs.

        Raises:
            ConfigError: As in `nested_settings`.
        """
        return vars(self) | {"settings": self.nested_settings()}

    def words(self) -> list[str]:
        """Return the options as words of a command line; those that are not given are left out."""
        named = {
            "--task": self.task,
            "--network": self.network,
            "--weights": self.weights,
            "--teacher": self.teacher,
            "--unlabelled": self.unlabelled,
            "--minutes": None if self.minutes is None else f"{self.minutes:g}",
            "--spatial": self.spatial,
        }
        words = [word for option, value in named.items() if value for word in (option, str(value))]
        return words + [word for assignment in self.settings or () for word in ("--set", assignment)]
