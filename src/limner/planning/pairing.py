"""Networks and tasks go together where the network gives an output kind that the task accepts."""

from limner.core.errors import ConfigError, UnknownNameError, describe
from limner.networks import NETWORKS
from limner.tasks import TASKS


def check_pairing(network: str, task: str) -> None:
    """Refuse a network whose output the task cannot train on, before any compute is spent.

    Raises:
        UnknownNameError: There is no such network or task.
        ConfigError: They do not go together.
    """
    if network not in NETWORKS:
        raise UnknownNameError("network", network, NETWORKS)
    if task not in TASKS:
        raise UnknownNameError("task", task, TASKS)
    entry, accepted = NETWORKS[network], TASKS[task].accepts
    if entry.output in accepted and task in entry.tasks:
        return
    able = ", ".join(sorted(n for n, e in NETWORKS.items() if e.output in accepted and task in e.tasks))
    raise ConfigError(
        describe(
            f"The network {network!r} cannot be trained for the task {task!r}",
            found=f"it gives {entry.output.__name__}",
            expected=" or ".join(kind.__name__ for kind in accepted),
            mend=f"Choose one of: {able or 'none yet'}.",
        )
    )
