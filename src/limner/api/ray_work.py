"""Work on a ledger of shards by tasks of a Ray cluster, each of which joins it as another host would."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from limner.api.shared_work import ShownItems
from limner.core.errors import ConfigError, LimnerError, MissingPartError, describe
from limner.devices.host import num_cores
from limner.storage.shard_ledger import ShardLedger

LOCAL = "local"
"""Address of a cluster of this machine alone, which is started for the command."""

RETRIES = 3
"""How often Ray starts a task again whose process or machine has died."""


@dataclass(frozen=True)
class RayCluster:
    """Which cluster works, and how many tasks.

    Attributes:
        address: ``auto``, ``local``, ``ray://HOST:PORT`` or ``HOST:PORT``.
        tasks: Number of tasks; None for one on each GPU, or without any on each machine.
        device: ``auto``, or a PyTorch device name.
    """

    address: str
    tasks: int | None
    device: str


def require_ray() -> None:
    """Refuse to use a cluster before the work begins.

    Raises:
        MissingPartError: Ray is not installed.
    """
    if find_spec("ray") is None:
        raise MissingPartError("ray", "--ray", "pip install 'limner[ray]'")


def work_on_ray(ledger: ShardLedger, join: Callable[[], object], cluster: RayCluster) -> Iterator[None]:
    """Start tasks that work on a ledger, and wait until all items are done; yield once for each item.

    Args:
        ledger: The work.
        join: What each task calls: it works until nothing is left.
        cluster: Where the tasks run.

    Raises:
        ConfigError: The cluster does not answer, or has too little for the tasks; or all tasks have failed.
    """
    shown, problems = ShownItems(), []
    with _connected(cluster.address) as ray:
        running = _started(ray, join, cluster)
        while not ledger.is_finished:
            ended, running = ray.wait(running, timeout=ledger.root.wait_seconds)
            problems += [_problem_of(ray, one) for one in ended]
            if not running and not ledger.is_finished:
                raise _failed(problems)
            with suppress(FileNotFoundError):  # finished just now
                ledger.look()
            yield from shown.up_to(ledger.num_done)
        yield from shown.up_to(ledger.head.num_items)


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Connect to a cluster for the block, unless this process is connected already; yield the module."""
    import ray

    if ray.is_initialized():
        yield ray
        return
    own = {"num_cpus": num_cores(), "include_dashboard": False} if address == LOCAL else {"address": address}
    try:
        ray.init(**own, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(
            describe(
                "The Ray cluster does not answer",
                where=address,
                found=str(error).partition("\n")[0],
                expected="auto, local, ray://HOST:PORT or HOST:PORT of a cluster that runs",
                fix="Start one with `ray start --head`, or use --ray local for this machine alone.",
            )
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _started(ray: Any, join: Callable[[], object], cluster: RayCluster) -> list[Any]:  # noqa: ANN401
    """Start the tasks, with a GPU each if the cluster has some, else with their part of the cores."""
    total = ray.cluster_resources()
    gpus, cores = int(total.get("GPU", 0)), int(total.get("CPU", 0))
    machines = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
    with_gpus = gpus > 0 and cluster.device != "cpu"
    tasks = cluster.tasks or (gpus if with_gpus else max(len(machines), 1))
    most, what = (gpus, "GPUs") if with_gpus else (cores, "cores")
    if tasks > most:
        raise ConfigError(
            f"--processes {tasks} needs as many {what} in the Ray cluster, which has {most}. "
            f"Use at most {most}."
        )
    part = max(min(cores // tasks, int(max(machines))), 1)
    needs = {"num_gpus": 1} if with_gpus else {"num_cpus": part}
    task = ray.remote(max_retries=RETRIES, **needs)(_work)
    return [task.remote(join, str(Path.cwd())) for _ in range(tasks)]


def _work(join: Callable[[], object], folder: str) -> str:
    """Work in a task, and return the error that it ends with; empty if there is none."""
    try:
        os.chdir(folder)  # paths of the request are relative to it
        join()
    except (LimnerError, OSError) as error:
        return str(error)
    return ""


def _problem_of(ray: Any, task: Any) -> str:  # noqa: ANN401 - the module, and a reference
    try:
        return str(ray.get(task))
    except ray.exceptions.RayError as error:  # its process or machine died too often
        return str(error).strip().splitlines()[-1]


def _failed(problems: Sequence[str]) -> ConfigError:
    found = next((problem for problem in problems if problem), "all have ended")
    return ConfigError(
        describe(
            "No task of the Ray cluster works any longer",
            found=found,
            expected="the same paths, and limner, on all machines of the cluster",
            fix="Start the same command again when that is fixed; what is done is kept.",
        )
    )
