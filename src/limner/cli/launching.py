"""Processes of `limner train --devices N --restarts K`: started, watched, and started again after a death."""

import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.core.errors import ConfigError
from limner.devices.processes import is_launched_by_limner, num_processes

if TYPE_CHECKING:
    from limner.devices.launcher import Death

FIXED_BY_USER = 2
"""Exit code after an error that the user has to fix, which a restart would only repeat."""


@dataclass(frozen=True)
class Launch:
    """In how many processes to train, and how often to start them."""

    devices: Annotated[
        int, typer.Option(min=1, help="Devices of this machine to train on together, one process each.")
    ] = 1
    restarts: Annotated[
        int, typer.Option(min=0, help="Maximum number of restarts (from the last checkpoint) after failures.")
    ] = 0

    def needs_processes(self) -> bool:
        """Return whether other processes have to be started, and this is none of them."""
        return (self.devices > 1 or self.restarts > 0) and not is_launched_by_limner()

    def refuse_what_needs_one_process(self, device: str, folds: int) -> None:
        """Refuse options that cannot be combined with several processes or restarts.

        Raises:
            ConfigError: Another launcher has started this process, or the options contradict each other.
        """
        if num_processes() > 1:
            raise ConfigError(
                "Another launcher has started this process as one of several, and restarts them too: omit "
                "--devices and --restarts."
            )
        if folds:
            raise ConfigError("--folds trains in one process: omit --devices and --restarts.")
        if self.devices > 1 and ":" in device:
            raise ConfigError(
                f"--devices {self.devices} gives each process its own device, but --device {device} names a "
                f"single one. Use --device {device.partition(':')[0]}."
            )


def train_in_processes(launch: Launch, *, data: Path | None, run: str | None, resume: Path | None) -> None:
    """Run this command once more in processes that train together; return if they succeed.

    Args:
        launch: Number of processes and of restarts.
        data: The data of a new run.
        run: The run, if the user has named it.
        resume: The run that is continued instead.

    Raises:
        ConfigError: The run has no name, and none can be given.
        Exit: A process failed, or was stopped.
    """
    from limner.devices.launcher import run_together  # most commands start no processes

    arguments = sys.argv[1:]
    if resume is None and run is None and data is not None:
        after_command = arguments.index("train") + 1
        arguments[after_command:after_command] = ["--run", str(_new_name(data))]
    command = [sys.executable, "-m", "limner", *arguments]
    for attempt in count():
        death = run_together(command, launch.devices, attempt=attempt)
        if death is None:
            return
        if not death.is_wanted:
            _report(death)
        if death.is_wanted or death.code == FIXED_BY_USER or attempt == launch.restarts:
            raise typer.Exit(death.exit_code)
        _say(f"restarting from the last checkpoint (restart {attempt + 1} of {launch.restarts})")


def _new_name(data: Path) -> Path:
    """Return the folder of a new run, as the run itself would choose it."""
    from limner.core.run_folder import RUNS
    from limner.preparation.run_names import next_free
    from limner.storage.user_paths import user_path

    if not user_path(data).is_dir():
        raise ConfigError(f"{data} is not a folder after which a run can be named: name the run with --run.")
    return next_free(RUNS / user_path(data).resolve().name)


def _report(death: "Death") -> None:
    """Print how a process ended; what rank 0 printed has been seen."""
    for line in death.lines:
        print(f"process {death.rank}: {line}", file=sys.stderr)
    who = f"process {death.rank} of {death.count} (counted from 0)" if death.count > 1 else "the training"
    _say(f"{who} {death.how}" + (", so the others were ended" if death.count > 1 else ""))


def _say(message: str) -> None:
    print(f"limner: {message}", file=sys.stderr, flush=True)
