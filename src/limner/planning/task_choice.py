"""Checks that network, task, labels and initial weights are compatible."""

from collections.abc import Mapping
from typing import Any

from limner.core.errors import ConfigError, UnknownNameError, describe
from limner.core.plan import Plan
from limner.formats import FORMATS
from limner.formats.source import Source
from limner.networks import NETWORKS, build_network
from limner.networks.weightless import weightless
from limner.tasks import TASKS, find_task


def default_task(source: Source, network: str | None = None, start: Plan | None = None) -> tuple[str, str]:
    """Return the task of a run for which the user set none, and why.

    That is the task of the initial weights if the labels suit it, else the first of the format's tasks that
    the network can be trained for, else the first of the format's.

    Args:
        source: The dataset.
        network: The network that the user set.
        start: The plan of the initial weights.
    """
    tasks = [name for kind in source.tasks for name, task in TASKS.items() if task.labels_of == kind]
    if start is not None and start.task in tasks:
        return start.task, "the task of the initial weights"
    if network in NETWORKS:
        output = NETWORKS[network].output
        suitable = [name for name in tasks if find_task(name).accepts(output)]
        if suitable and suitable[0] != tasks[0]:
            return suitable[0], f"the labels are for it, and so is {network}"
    return tasks[0] if tasks else next(iter(TASKS)), "the labels are for it"


def check_pairing(network: str, task: str | None) -> None:
    """Check that the network exists, and that the task accepts its output.

    Args:
        network: A row of `NETWORKS`.
        task: A row of `TASKS`; None as long as it is unknown.

    Raises:
        UnknownNameError: The network or task does not exist.
        ConfigError: They are incompatible.
    """
    if network not in NETWORKS:
        raise UnknownNameError("network", network, NETWORKS)
    if task is None:
        return
    entry, accepted = NETWORKS[network], find_task(task).objectives
    if entry.output in accepted:
        return
    able = ", ".join(sorted(name for name, row in NETWORKS.items() if row.output in accepted))
    raise ConfigError(
        describe(
            f"The network {network!r} cannot be trained for the task {task!r}",
            found=f"output {entry.output.__name__}",
            expected=" or ".join(kind.__name__ for kind in accepted),
            fix=f"Choose one of: {able or 'none yet'}.",
        )
    )


def check_start(start: Plan, user: Mapping[str, Any], spatial_dims: int) -> None:
    """Check that initial weights match the network that the user set and the dimensions of the images.

    Args:
        start: The plan of the weights.
        user: The user's settings, by dotted key.
        spatial_dims: Spatial dimensions of the images.

    Raises:
        ConfigError: They are incompatible.
    """
    named, weights = user.get("network.name", start.network.name), user.get("network.weights")
    if named != start.network.name:
        raise ConfigError(
            describe(
                "The weights are from another network",
                where=weights,
                found=f"{start.network.name}, {start.data.label_table.num_classes} classes",
                expected=f"{named}, as you set it",
                fix="Omit the network: the weights determine it.",
            )
        )
    if spatial_dims != start.input.spatial_dims:
        raise ConfigError(
            describe(
                "The weights are for images with another number of dimensions",
                where=weights,
                found=f"{start.input.spatial_dims} dimensions",
                expected=f"{spatial_dims}, as the images have",
                fix=f"Choose weights that were trained on images of {spatial_dims} dimensions, or omit them.",
            )
        )


def check_labels(source: Source, task: str) -> None:
    """Check that the dataset's format has the task's targets.

    Raises:
        UnknownNameError: The task does not exist.
        ConfigError: The labels do not suit the task.
    """
    needed = find_task(task).labels_of
    if needed in source.tasks:
        return
    if source.tasks == ("detection",):
        raise ConfigError(
            describe(
                "The labels are boxes",
                where=source.root,
                found=f"{source.name} without masks, suitable for detection",
                expected=f"masks, for the task {task!r}",
                fix="Train --task detection, or export the labels with polygons or masks.",
            )
        )
    formats = ", ".join(name for name, known in FORMATS.items() if needed in known.tasks)
    raise ConfigError(
        describe(
            f"The labels are not suitable for the task {task!r}",
            where=source.root,
            found=f"{source.name}: {source.title}, suitable for {' and '.join(source.tasks)}",
            expected=f"labels for it, in one of these formats: {formats}",
            fix=f"Train --task {default_task(source)[0]}, or export the labels in such a format.",
        )
    )


def check_mixing(task: str, user: Mapping[str, Any]) -> None:
    """Check that images are mixed, or their classes balanced, only if they have classes as a whole.

    Raises:
        ConfigError: Another task does so.
    """
    asked = [key for key in ("augment.mixup", "augment.cutmix", "train.balanced") if user.get(key)]
    if asked and not find_task(task).sees_whole_images:
        able = ", ".join(name for name, row in TASKS.items() if row.sees_whole_images)
        raise ConfigError(
            describe(
                f"{asked[0]} is for classes of whole images",
                found=f"the task {task}",
                expected=able,
                fix=f"Omit {' and '.join(asked)}.",
            )
        )


def check_unlabelled(user: Mapping[str, Any], start: Plan | None, task: str, spatial_dims: int) -> None:
    """Check that unlabelled images are learned of only where initial weights predict label maps of images.

    Raises:
        ConfigError: There are no such weights.
    """
    if user.get("train.unlabelled") is None:
        return
    fits = find_task(task).has_label_maps and spatial_dims == 2
    if start is not None and start.task == task and fits:
        return
    found = f"the task {task} of {spatial_dims} dimensions" if not fits else "no initial weights of this task"
    raise ConfigError(
        describe(
            "Unlabelled images need initial weights that predict their labels",
            where=user["train.unlabelled"],
            found=found,
            expected="a model of label maps of images, of the task semantic and all classes of the data",
            fix="Train on the labelled images first, and name that model with --weights.",
        )
    )


def check_options(network: str, options: Mapping[str, Any]) -> None:
    """Check the options of a network by building it without weights.

    Raises:
        ConfigError: An option is unknown (the nearest one is named) or out of range.
    """
    with weightless():
        build_network(network, num_classes=2, pretrained="no", **options)
