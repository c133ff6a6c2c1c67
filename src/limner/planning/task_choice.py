"""Networks and tasks go together where the network gives an output kind that the task accepts."""

from collections.abc import Mapping
from typing import Any

import torch

from limner.core.errors import ConfigError, UnknownNameError, describe
from limner.core.plan import Plan
from limner.formats import FORMATS
from limner.formats.source import Source
from limner.networks import NETWORKS, build_network
from limner.tasks import TASKS, find_task


def check_pairing(network: str, task: str) -> None:
    """Refuse a network whose output the task cannot train on, before any compute is spent.

    Raises:
        UnknownNameError: There is no such network or task.
        ConfigError: They do not go together.
    """
    if network not in NETWORKS:
        raise UnknownNameError("network", network, NETWORKS)
    entry, accepted = NETWORKS[network], find_task(task).objectives
    if entry.output in accepted:
        return
    able = ", ".join(sorted(name for name, row in NETWORKS.items() if row.output in accepted))
    raise ConfigError(
        describe(
            f"The network {network!r} cannot be trained for the task {task!r}",
            found=f"it gives {entry.output.__name__}",
            expected=" or ".join(kind.__name__ for kind in accepted),
            fix=f"Choose one of: {able or 'none yet'}.",
        )
    )


def check_start(start: Plan, user: Mapping[str, Any], spatial_dims: int) -> None:
    """Refuse weights of another network than the user names, or of other dimensions than the images have.

    Args:
        start: The plan of the weights.
        user: What the user set, by dotted key.
        spatial_dims: Of the images.

    Raises:
        ConfigError: They do not go together.
    """
    named, weights = user.get("network.name", start.network.name), user.get("network.weights")
    if named != start.network.name:
        raise ConfigError(
            describe(
                "The weights are those of another network",
                where=weights,
                found=f"{start.network.name}, {start.data.label_table.num_classes} classes",
                expected=f"{named}, as you named it",
                fix="Leave out the network: it is that of the weights.",
            )
        )
    if spatial_dims != start.input.spatial_dims:
        raise ConfigError(
            describe(
                "The weights are for images of other dimensions",
                where=weights,
                found=f"{start.input.spatial_dims} dimensions",
                expected=f"{spatial_dims}, as the images have",
            )
        )


def check_labels(source: Source, task: str) -> None:
    """Refuse a task whose targets the data's format does not hold, before any compute is spent.

    Raises:
        UnknownNameError: There is no such task.
        ConfigError: The labels are not good for it.
    """
    needed = find_task(task).labels_of
    if needed in source.tasks:
        return
    if source.tasks == ("classification",):
        raise _no_classification(source)
    if source.tasks == ("detection",):
        raise ConfigError(
            describe(
                "The labels are boxes",
                where=source.root,
                found=f"{source.name} without a mask, good for detection",
                expected=f"masks, of which limner trains {', '.join(TASKS)}",
                fix="Export the labels with polygons or masks; check, browse and convert take boxes too.",
            )
        )
    formats = ", ".join(name for name, known in FORMATS.items() if needed in known.tasks)
    raise ConfigError(
        describe(
            f"The labels are not good for the task {task!r}",
            where=source.root,
            found=f"{source.name}: {source.title}, good for {' and '.join(source.tasks)}",
            expected=f"labels that tell objects apart, in one of these formats: {formats}",
            fix="Export the labels with their objects, or train --task semantic.",
        )
    )


def _no_classification(source: Source) -> ConfigError:
    return ConfigError(
        describe(
            "Classifying whole images is not yet a task of limner",
            where=source.root,
            found=f"{source.name}: {source.title}",
            expected=f"masks or objects, for one of {', '.join(TASKS)}",
            fix="check, browse, stats, split and convert work on these images; training needs masks.",
        )
    )


def check_options(network: str, options: Mapping[str, Any]) -> None:
    """Build a network without its weights, which takes a moment, to see whether its options make sense.

    Raises:
        ConfigError: An option is unknown (the nearest one is named) or out of range.
    """
    with torch.device("meta"):
        build_network(network, num_classes=2, pretrained="no", **options)
