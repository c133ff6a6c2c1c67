"""Rank and number of processes that train together, started by limner, torchrun, accelerate or SLURM."""

import os
import re
import time
from collections.abc import MutableMapping
from pathlib import Path

from limner.core.errors import TrainingError, describe

LONGEST_WAIT = 3600.0
"""Seconds that other processes wait while the first one checks the data and makes the plan."""

LAUNCHED = "LIMNER_LAUNCHED"
"""Environment variable of processes that `limner train --devices` starts."""

LOCAL_PROCESSES = "LOCAL_WORLD_SIZE"
"""Environment variable with the number of processes that share the cores and the memory of this machine."""

RESTARTS = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
"""Environment variables with the number of earlier attempts: of torchrun and limner, and of SLURM."""

FIRST_PORT, NUM_PORTS = 20_000, 10_000
"""Ports of which a step of SLURM takes one; below those that Linux gives to outgoing connections."""


def num_processes() -> int:
    """Return the number of processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_rank() -> int:
    """Return the rank of this process among them."""
    return int(os.environ.get("RANK", "0"))


def is_first_process() -> bool:
    """Return whether this is the process that writes files."""
    return process_rank() == 0


def num_local_processes() -> int:
    """Return the number of processes that train at the same time on this machine, as far as it is known."""
    return max(int(os.environ.get(LOCAL_PROCESSES, "1")), 1)


def is_launched_by_limner() -> bool:
    """Return whether `limner train` with --devices or --restarts has started this process."""
    return LAUNCHED in os.environ


def is_restarted() -> bool:
    """Return whether a launcher or scheduler starts the same command once more, after a failure."""
    return any(os.environ.get(name, "0") not in ("", "0") for name in RESTARTS)


def join_slurm_step(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set what PyTorch reads for the tasks of one `srun`; nothing changes under another launcher.

    The variables are those that srun sets for each task of a step:
    https://slurm.schedmd.com/srun.html#SECTION_OUTPUT-ENVIRONMENT-VARIABLES.

    Args:
        environment: Environment variables of this process, which are changed.
    """
    if "WORLD_SIZE" in environment or int(environment.get("SLURM_STEP_NUM_TASKS", "1")) < 2:
        return
    job, step = (int(environment.get(name, "0")) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    on_node = environment.get("SLURM_STEP_TASKS_PER_NODE", "1")
    found = {
        "WORLD_SIZE": environment["SLURM_STEP_NUM_TASKS"],
        "RANK": environment["SLURM_PROCID"],
        "LOCAL_RANK": environment["SLURM_LOCALID"],
        "LOCAL_WORLD_SIZE": re.split(r"\D", on_node, maxsplit=1)[0],
        "MASTER_ADDR": first_host(environment["SLURM_STEP_NODELIST"]),
        "MASTER_PORT": str(FIRST_PORT + (31 * job + step) % NUM_PORTS),
    }
    for name, value in found.items():
        environment.setdefault(name, value)


def first_host(hosts: str) -> str:
    """Return the first name of a list of hosts of SLURM, such as ``gpu01`` of ``gpu[01-03,7],big2``."""
    first = re.split(r",(?![^\[]*\])", hosts, maxsplit=1)[0]
    return re.sub(r"\[([^],-]*)[^]]*\]", r"\1", first)


def wait_for(path: Path, *, seconds: float = LONGEST_WAIT, pause: float = 0.5) -> None:
    """Wait until the first process has written a file, on a shared disk.

    Raises:
        TrainingError: The file was not written in time.
    """
    end = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > end:
            raise TrainingError(
                describe(
                    "The first process did not prepare the run in time",
                    where=path,
                    found=f"nothing after {seconds:g} seconds",
                    expected="the run's folder on a disk that all processes share",
                )
            )
        time.sleep(pause)
