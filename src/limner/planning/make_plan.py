"""Make a Plan, in which nothing is `auto`, from the user's settings and the dataset."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from limner.checks.facts import DatasetFacts
from limner.core.config import Config, parse_config
from limner.core.errors import ConfigError
from limner.core.labels import LabelTable
from limner.core.plan import Plan
from limner.core.sample import Record
from limner.devices.machine import Machine, examine
from limner.formats.source import TEXT_TASK, Source
from limner.networks import NETWORKS
from limner.planning.decisions import YOU_SET_IT, Case, decide
from limner.planning.fingerprint import Fingerprint, take_fingerprint
from limner.planning.measurer import Measurer
from limner.planning.rules import RULES
from limner.planning.rules.volumes import AS_IN_START
from limner.planning.settings import SIZES, Flat, nest, read_settings, settable_fields
from limner.planning.slicing import Slicing, choose_slicing
from limner.planning.task_choice import (
    check_labels,
    check_mixing,
    check_pairing,
    check_start,
    check_unlabelled,
    default_task,
)
from limner.planning.unused_settings import refuse_unused_settings
from limner.tasks import find_task
from limner.tasks.task import Task

TRIED_FOR_CURVES = 100
"""Number of images whose words are read to see whether their outlines are curved."""


def make_plan(
    source: Source,
    facts: DatasetFacts,
    labels: LabelTable,
    splits: Mapping[str, Sequence[Record]],
    *,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    machine: Machine | None = None,
    start: Plan | None = None,
    teacher: Plan | None = None,
    allow_cascade: bool = True,
) -> Plan:
    """Decide every setting of a run.

    Args:
        source: The dataset.
        facts: Facts from reading every file once.
        labels: The label table of the data; the instance task uses its countable classes.
        splits: The records of each split.
        settings: The user's settings, nested, with ``reasons`` by dotted key; any value may be ``auto``.
        device: Device of the run.
        machine: Capabilities of that device; detected if None.
        start: The plan of the weights in ``network.weights``.
        teacher: The plan of the model in ``loss.teacher``.
        allow_cascade: Whether the run may have a low-resolution stage of its own accord.

    Raises:
        ConfigError: A setting is invalid, or contradicts another, the task, the labels or the network.
        DataError: There are no usable training images.
    """
    notes, user = _notes_and_settings(settings or {})
    task, task_reason = _chosen_task(source, user, start)
    labels = task.labels(labels)
    machine = machine or examine(device)
    slicing = _slicing(facts, user, start, task, is_cpu=machine.is_cpu)
    fingerprint = take_fingerprint(facts, labels, _names_in(splits), slicing=slicing)
    _stretch_sizes(user, fingerprint)
    _check_network(user, start, task=task.name, spatial_dims=fingerprint.spatial_dims)
    case = Case(
        fingerprint=fingerprint,
        labels=labels,
        machine=machine,
        minutes=user.get("train.minutes"),
        measure=Measurer(labels, device=machine.device, teacher=teacher),
        start=start,
        task=task.name,
        task_reason=task_reason,
        teacher=teacher,
        shows_text=TEXT_TASK in source.tasks,
        has_curved_words=_has_curved_words(source, splits.get("train", ())),
        is_partly_labelled=any(source.complete_values(r) is not None for r in splits.get("train", ())),
        given=frozenset(user),
        allows_cascade=allow_cascade,
    )
    settled, reasons = decide(case, RULES, user, notes)
    refuse_unused_settings(user, settled)
    values = {"data": _data_plan(source, labels, num_images=fingerprint.num_images), **nest(_plain(settled))}
    return parse_config(Plan, values | {"reasons": _in_order(reasons)}, where="The plan")


def _notes_and_settings(settings: Mapping[str, Any]) -> tuple[dict[str, str], Flat]:
    """Return the user's reasons by dotted key, and the settings by dotted key."""
    notes = settings.get("reasons", {})
    return notes, read_settings({key: value for key, value in settings.items() if key != "reasons"})


def _names_in(splits: Mapping[str, Sequence[Record]]) -> dict[str, list[str]]:
    """Return the names of the images of each split."""
    return {split: [record.name for record in records] for split, records in splits.items()}


def _chosen_task(source: Source, user: Flat, start: Plan | None) -> tuple[Task, str]:
    """Return the task that the user wants, or the usual one, and why.

    Raises:
        ConfigError: The labels are not for it, or it cannot mix images as the user wants.
    """
    name, reason = user.get("task"), YOU_SET_IT
    if name is None:
        name, reason = default_task(source, user.get("network.name"), start)
    task = find_task(name)
    check_labels(source, name)
    check_mixing(name, user)
    return task, reason


def _slicing(
    facts: DatasetFacts, user: Flat, start: Plan | None, task: Task, *, is_cpu: bool
) -> Slicing | None:
    """Return how volumes are cut into slices: as for the initial weights, as the user says, or as suits."""
    if start is None:
        entry = NETWORKS.get(user.get("network.name", ""))
        dims = (2, 3) if entry is None else entry.spatial_dims
        if not task.has_label_maps and 3 in dims:
            dims = (3,)
        return choose_slicing(facts, user, network_dims=dims, is_cpu=is_cpu)
    known = {
        "input.spatial_dims": start.input.spatial_dims,
        "input.slice_axis": start.input.slice_axis,
        "input.slice_neighbours": start.input.slice_neighbours,
    }
    return choose_slicing(facts, known | user, origin=AS_IN_START)


def _data_plan(source: Source, labels: LabelTable, *, num_images: Mapping[str, int]) -> dict[str, Any]:
    """Return the part of a plan that says which data it is for."""
    return {
        "path": str(Path(source.root).resolve()),
        "format": source.name,
        "num_images": num_images,
        "labels": labels.to_dict(),
    }


def _has_curved_words(source: Source, records: Sequence[Record]) -> bool:
    """Return whether a word in the first `TRIED_FOR_CURVES` images has more than four corners."""
    if TEXT_TASK not in source.tasks:
        return False
    words = (source.read_words(record) for record in records[:TRIED_FOR_CURVES])
    return any(len(polygon) > 4 for each in words for polygon in each.polygons)


def _check_network(user: Flat, start: Plan | None, *, task: str, spatial_dims: int) -> None:
    """Check that the network is for the task and for the number of dimensions of the images.

    Raises:
        ConfigError: The network that the user or the initial weights want is not, or images without labels
            cannot be learned from.
    """
    check_unlabelled(user, start, task, spatial_dims)
    wanted = user.get("input.spatial_dims", spatial_dims)
    if wanted != spatial_dims:
        raise ConfigError(
            f"input.spatial_dims: expected {spatial_dims}, as the images have; found {wanted}. Volumes are "
            "NIfTI, NRRD, MetaImage, NPZ or DICOM files."
        )
    if start is not None:
        check_start(start, user, spatial_dims)
        check_pairing(start.network.name, task)
    elif "network.name" in user:
        check_pairing(user["network.name"], task)


def _stretch_sizes(user: Flat, fingerprint: Fingerprint) -> None:
    """Expand single numbers to the same number for each axis.

    Raises:
        ConfigError: There are more or fewer numbers than axes.
    """
    dims = fingerprint.spatial_dims
    for key in SIZES:
        sides = user.get(key)
        if sides is None:
            continue
        if len(sides) not in (1, dims):
            axes = "height, width" if dims == 2 else "depth, height, width"
            raise ConfigError(f"{key}: expected {dims} numbers ({axes}) or one; found {list(sides)}.")
        user[key] = tuple(sides) * (dims // len(sides))


def _plain(settled: Flat) -> Flat:
    """Return the values as plain data, which the Plan validates like a file."""
    return {key: _as_data(value) for key, value in settled.items()}


def _as_data(value: object) -> object:
    if isinstance(value, Config):
        return value.model_dump()
    if isinstance(value, dict):
        return {name: _as_data(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_as_data(item) for item in value]  # as in YAML
    return value


def _in_order(reasons: Mapping[str, str]) -> dict[str, str]:
    """Sort the reasons in the order of the Plan's keys."""
    return {key: reasons[key] for key in settable_fields() if key in reasons}
