"""Inference of task, classes and licence of a checkpoint.

Each value has a reason, which is shown and saved.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from limner.core.errors import ConfigError, ModelError, describe
from limner.core.labels import LabelClass, LabelTable, distinct_color
from limner.core.outputs import QueryMasks
from limner.tasks import TASKS, find_task
from limner.weights.checkpoint_files import CONFIG, Checkpoint
from limner.weights.checkpoint_source import SET_BY_USER, Inferred
from limner.weights.sources.facts.known_data import AUTHORS_FILES, AUTHORS_LICENCE, KNOWN_DATA, KnownData

PARTS_READ = 4
"""Number of last path components that may contain the task, as in coco/instance/CONFIGURATION/FILE."""

_SAME_NAMES = 0.9
"""Minimum fraction of class names that match those of a dataset, to use its mask values."""


def infer_task(checkpoint: Checkpoint, num_classes: int, wanted: str | None) -> Inferred[str]:
    """Return the task that the weights were trained for.

    Raises:
        ConfigError: It cannot be inferred, so the user has to specify it.
    """
    if wanted is not None:
        if wanted not in _query_tasks():
            raise ConfigError(f"There is no task {wanted!r}. Known: {', '.join(_query_tasks())}.")
        return Inferred(wanted, SET_BY_USER)
    task, classes = AUTHORS_FILES.get(checkpoint.path.name, ("", 0))
    if classes == num_classes:
        return Inferred(task, "the file's name is in the authors' list of models")
    said = str(checkpoint.config.get("_name_or_path") or "")
    path = "/".join(checkpoint.path.resolve().parts[-PARTS_READ:])
    for words, where in ((path, "path"), (said, "name")):
        named = [task for task in _query_tasks() if task in re.split(r"[^a-z]+", words.casefold())]
        if len(named) == 1:
            return Inferred(named[0], f"from its {where}")
    known = KNOWN_DATA.get(num_classes, ())
    if len(known) == 1:
        return Inferred(known[0].task, f"{known[0].name} has {num_classes} classes")
    both = " and ".join(row.task for row in known)
    raise ConfigError(
        describe(
            "The task of the checkpoint is unknown",
            where=checkpoint.path,
            found=f"{num_classes} classes" + (f", which is {known[0].name}, {both}" if known else ""),
            expected=", ".join(_query_tasks()),
            fix="Set it with --task semantic, instance or panoptic.",
        )
    )


def _query_tasks() -> tuple[str, ...]:
    """Return the tasks that a network of queries can be trained for."""
    return tuple(name for name, task in TASKS.items() if task.accepts(QueryMasks))


def infer_labels(
    checkpoint: Checkpoint,
    num_classes: int,
    task: str,
    wanted: LabelTable | None,
    usual: Inferred[LabelTable] | None = None,
) -> Inferred[LabelTable]:
    """Return the classes in trained order.

    Args:
        checkpoint: The checkpoint.
        num_classes: The size of its class head.
        task: A row of `TASKS`.
        wanted: The classes that the caller has set.
        usual: Those that are assumed of a checkpoint without names.

    Raises:
        ModelError: There are more or fewer names than classes.
    """
    if wanted is not None:
        _refuse_other_number(wanted.names, num_classes, checkpoint)
        return Inferred(wanted, "you set them")
    stored = framework_names(checkpoint)
    if stored is not None:
        return labels_of_names(stored.value, stored.why, checkpoint, num_classes, task)
    known = known_data(num_classes, task)
    id2label = checkpoint.config.get("id2label")
    if isinstance(id2label, Mapping) and not all(
        re.fullmatch(r"LABEL_\d+", str(v)) for v in id2label.values()
    ):
        return labels_of_names(_names(id2label), f"id2label of {CONFIG}", checkpoint, num_classes, task)
    if usual is not None and "id2label" not in checkpoint.config:
        return usual
    if known is not None:
        return Inferred(known.labels(), f"assumed to be those of {known.name}, since there are {num_classes}")
    names = [f"class_{index}" for index in range(num_classes)]
    return Inferred(_numbered(names), f"names unknown; set them with --classes{_things(task)}")


def framework_names(checkpoint: Checkpoint) -> Inferred[Sequence[str]] | None:
    """Return the class names that mmcv or mmengine stored in the checkpoint."""
    inside = checkpoint.meta.get("dataset_meta")
    for key, meta in product(("classes", "CLASSES"), (inside, checkpoint.meta)):
        if isinstance(meta, Mapping) and isinstance(meta.get(key), (list, tuple)):
            names = [str(name).strip() for name in meta[key]]
            unique = [f"{n} ({i})" if names.count(n) > 1 else n for i, n in enumerate(names)]
            return Inferred(unique, f"{key} of the checkpoint's meta")
    return None


def labels_of_names(
    names: Sequence[str], source: str, checkpoint: Checkpoint, num_classes: int, task: str
) -> Inferred[LabelTable]:
    """Return the classes of these names, with the mask values of the public dataset that has the same names.

    Raises:
        ModelError: There are more or fewer names than classes.
    """
    _refuse_other_number(names, num_classes, checkpoint)
    known = known_data(num_classes, task)
    if known is not None and _are_same(names, known.labels().names):
        table = known.labels()
        classes = tuple(replace(c, name=name) for c, name in zip(table.classes, names, strict=True))
        return Inferred(replace(table, classes=classes), f"{source}; mask values of {known.name}")
    return Inferred(_numbered(names), f"{source}; mask values 0 to {num_classes - 1}{_things(task)}")


def known_data(num_classes: int, task: str) -> KnownData | None:
    """Return the public dataset with this number of classes for a task, or None."""
    return {row.task: row for row in KNOWN_DATA.get(num_classes, ())}.get(task)


def infer_licence(checkpoint: Checkpoint, num_classes: int, wanted: str | None) -> Inferred[str | None]:
    """Return the licence of the weights, or None if not stated."""
    if wanted is not None:
        return Inferred(wanted, SET_BY_USER)
    names = f"{checkpoint.path.resolve()} {checkpoint.config.get('_name_or_path') or ''}"
    is_authors = AUTHORS_FILES.get(checkpoint.path.name, ("", 0))[1] == num_classes
    if is_authors or re.search(r"facebook(/|--)mask2former", names):
        return Inferred(AUTHORS_LICENCE, "the authors' licence of all their weights: no commercial use")
    stated = re.search(r"\A---\s.*?^license:\s*(\S+)", checkpoint.card, re.DOTALL | re.MULTILINE)
    if stated and stated[1] != "other":
        return Inferred(stated[1], "from the checkpoint's README.md")
    return Inferred(
        None,
        f"not stated; ask its authors. Mask2Former's own weights are {AUTHORS_LICENCE}, non-commercial",
    )


def _names(id2label: Mapping[Any, Any]) -> list[str]:
    """Return the names in the order of their numbers; duplicates get their number as a suffix."""
    names = [str(id2label[key]).strip() for key in sorted(id2label, key=int)]
    return [f"{name} ({index})" if names.count(name) > 1 else name for index, name in enumerate(names)]


def _are_same(names: Sequence[str], known: Sequence[str]) -> bool:
    """Return whether names match those of a dataset; synonyms after a comma are ignored."""
    first = [[name.split(",")[0].strip().casefold() for name in some] for some in (names, known)]
    same = sum(ours == theirs for ours, theirs in zip(*first, strict=True))
    return bool(same >= _SAME_NAMES * len(names))


def _numbered(names: Sequence[str]) -> LabelTable:
    return LabelTable(tuple(LabelClass(name, (i,), distinct_color(i)) for i, name in enumerate(names)))


def _things(task: str) -> str:
    """Return a remark about is_thing if the task distinguishes things from stuff."""
    return "; all are assumed countable: set is_thing with --classes" if find_task(task).has_stuff else ""


def _refuse_other_number(names: Sequence[str], num_classes: int, checkpoint: Checkpoint) -> None:
    if len(names) != num_classes:
        raise ModelError(
            describe(
                "The classes do not fit the checkpoint",
                where=checkpoint.path,
                found=f"{len(names)} names: {', '.join(names[:5])}{', ...' * (len(names) > 5)}",
                expected=f"{num_classes}, the size of its class head",
                fix="List every class, in trained order.",
            )
        )
