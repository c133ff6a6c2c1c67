"""What a Mask2Former checkpoint says about itself beside its tensors, and what has to be concluded.

Every answer carries the reason for it, which is shown and kept.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from limner.core.errors import ConfigError, ModelError, describe
from limner.core.labels import LabelClass, LabelTable, distinct_color
from limner.core.plan import ResizePlan
from limner.weights.checkpoint_files import CONFIG, PREPROCESSOR, Checkpoint
from limner.weights.known_data import AUTHORS_FILES, AUTHORS_LICENCE, KNOWN_DATA, SMALLEST, KnownData

T = TypeVar("T")

TASKS = ("semantic", "instance", "panoptic")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of RGB in 0..1, in all configuration files of the authors and by default in transformers."""

PARTS_READ = 4
"""Last parts of a path that may tell the task: the authors' is coco/instance/CONFIGURATION/FILE."""

_SAME_NAMES = 0.9
"""Part of the class names that must agree with those of a dataset for its mask values to be taken over."""

_HUGGING_FACE_SIZE = {"shortest_edge": 800, "longest_edge": 1333}


@dataclass(frozen=True)
class Told(Generic[T]):
    """An answer and where it is from."""

    value: T
    why: str


@dataclass(frozen=True)
class Normalization:
    """In the values of image files, 0 to 255, in the order red, green, blue."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def tell_heads(checkpoint: Checkpoint) -> int:
    """Return the number of attention heads, which no tensor tells.

    Raises:
        ModelError: The settings are those of another architecture, or of a variant that limner has not.
    """
    config = checkpoint.config
    kind = config.get("model_type", "mask2former")
    if kind != "mask2former":
        raise ModelError(
            describe(
                "The checkpoint is of another architecture",
                where=checkpoint.path / CONFIG,
                found=f"model_type {kind!r}",
                expected="model_type 'mask2former'",
            )
        )
    fixed = {"pre_norm": False, "common_stride": 4, "activation_function": "relu"}
    other = [f"{key} {config[key]!r}" for key, value in fixed.items() if config.get(key, value) != value]
    if other:
        raise ModelError(
            describe(
                "The checkpoint is a variant of Mask2Former that limner has not",
                where=checkpoint.path / CONFIG,
                found=", ".join(other),
                expected=", ".join(f"{key} {value!r}" for key, value in fixed.items()),
            )
        )
    return int(config.get("num_attention_heads", 8))


def tell_task(checkpoint: Checkpoint, num_classes: int, wanted: str | None) -> Told[str]:
    """Return what the weights were trained for.

    Raises:
        ConfigError: Nothing tells, so that the user has to.
    """
    if wanted is not None:
        if wanted not in TASKS:
            raise ConfigError(f"There is no task {wanted!r}. Known: {', '.join(TASKS)}.")
        return Told(wanted, "you said so")
    task, classes = AUTHORS_FILES.get(checkpoint.path.name, ("", 0))
    if classes == num_classes:
        return Told(task, "the file's name is in the authors' list of models")
    said = str(checkpoint.config.get("_name_or_path") or "")
    path = "/".join(checkpoint.path.resolve().parts[-PARTS_READ:])
    for words, where in ((path, "path"), (said, "name")):
        named = [task for task in TASKS if task in re.split(r"[^a-z]+", words.casefold())]
        if len(named) == 1:
            return Told(named[0], f"its {where} says so")
    known = KNOWN_DATA.get(num_classes, ())
    if len(known) == 1:
        return Told(known[0].task, f"{known[0].name} has {num_classes} classes")
    both = " and ".join(row.task for row in known)
    raise ConfigError(
        describe(
            "Nothing in the checkpoint tells what it was trained for",
            where=checkpoint.path,
            found=f"{num_classes} classes" + (f", which is {known[0].name}, {both}" if known else ""),
            expected=", ".join(TASKS),
            mend="Say it: --task semantic, instance or panoptic.",
        )
    )


def tell_labels(
    checkpoint: Checkpoint, num_classes: int, task: str, wanted: LabelTable | None
) -> Told[LabelTable]:
    """Return the classes in trained order.

    Raises:
        ModelError: There are more or fewer names than classes.
    """
    if wanted is not None:
        _refuse_other_number(wanted.names, num_classes, checkpoint)
        return Told(wanted, "you named them")
    known = known_data(num_classes, task)
    id2label = checkpoint.config.get("id2label")
    if isinstance(id2label, Mapping) and not all(
        re.fullmatch(r"LABEL_\d+", str(v)) for v in id2label.values()
    ):
        names = _names(id2label)
        _refuse_other_number(names, num_classes, checkpoint)
        if known is not None and _are_same(names, known.labels().names):
            table = known.labels()
            classes = tuple(replace(c, name=name) for c, name in zip(table.classes, names, strict=True))
            return Told(replace(table, classes=classes), f"id2label of {CONFIG}; mask values of {known.name}")
        return Told(
            _numbered(names), f"id2label of {CONFIG}; mask values 0 to {num_classes - 1}{_things(task)}"
        )
    if known is not None:
        return Told(known.labels(), f"taken to be those of {known.name}, since there are {num_classes}")
    names = [f"class_{index}" for index in range(num_classes)]
    return Told(_numbered(names), f"nothing names them; name them with --classes{_things(task)}")


def known_data(num_classes: int, task: str) -> KnownData | None:
    """Return the public dataset that has so many classes for a task, or None."""
    return next((row for row in KNOWN_DATA.get(num_classes, ()) if row.task == task), None)


def tell_normalization(checkpoint: Checkpoint) -> Told[Normalization]:
    """Return mean and standard deviation in the values of image files."""
    said = checkpoint.preprocessor
    factor = float(said.get("rescale_factor", 1 / 255)) if said.get("do_rescale", True) else 1.0
    mean = said.get("image_mean") or IMAGENET_MEAN
    std = said.get("image_std") or IMAGENET_STD
    if not said.get("do_normalize", True):
        mean, std = (0.0,) * 3, (1.0,) * 3
    value = Normalization(*(tuple(round(float(n) / factor, 6) for n in numbers) for numbers in (mean, std)))
    return Told(value, PREPROCESSOR if said else "ImageNet's, as in all configurations of the authors")


def tell_resize(checkpoint: Checkpoint, num_classes: int, task: str, backbone: str) -> Told[ResizePlan]:
    """Return to which size images are resized.

    Raises:
        ModelError: The size is written in a way that limner does not know.
    """
    if checkpoint.config or checkpoint.preprocessor:
        why = PREPROCESSOR if checkpoint.preprocessor else f"no {PREPROCESSOR}: transformers' own default"
        return Told(_hugging_face_resize(checkpoint), why)
    known = known_data(num_classes, task)
    if known is None:
        return Told(ResizePlan(multiple=SMALLEST), "nothing tells another size: images as they are")
    return Told(known.resize(backbone=backbone), f"as the authors predict {known.name}")


def tell_licence(checkpoint: Checkpoint, num_classes: int, wanted: str | None) -> Told[str | None]:
    """Return the licence of the weights, or None where nobody states one."""
    if wanted is not None:
        return Told(wanted, "you said so")
    names = f"{checkpoint.path.resolve()} {checkpoint.config.get('_name_or_path') or ''}"
    is_authors = AUTHORS_FILES.get(checkpoint.path.name, ("", 0))[1] == num_classes
    if is_authors or re.search(r"facebook(/|--)mask2former", names):
        return Told(AUTHORS_LICENCE, "the authors' for all weights they publish: no commercial use")
    stated = re.search(r"\A---\s.*?^license:\s*(\S+)", checkpoint.card, re.DOTALL | re.MULTILINE)
    if stated and stated[1] != "other":
        return Told(stated[1], "README.md of the checkpoint")
    return Told(
        None,
        f"not stated: ask its maker. Weights of Mask2Former's authors are {AUTHORS_LICENCE}, not commercial",
    )


def _hugging_face_resize(checkpoint: Checkpoint) -> ResizePlan:
    said = checkpoint.preprocessor
    if not said.get("do_resize", True):
        return ResizePlan()
    size = said.get("size", _HUGGING_FACE_SIZE)
    longest = said.get("max_size")
    if isinstance(size, int):
        size = {"shortest_edge": size}
    keys = {key for key, value in size.items() if value is not None} if isinstance(size, Mapping) else set()
    multiple = int(said.get("size_divisor", said.get("size_divisibility", SMALLEST)) or 1)
    if keys == {"height", "width"}:
        return ResizePlan(size=(size["height"], size["width"]), multiple=multiple)
    if "shortest_edge" in keys and keys <= {"shortest_edge", "longest_edge"}:
        longest = size.get("longest_edge") or longest
        return ResizePlan(shortest=size["shortest_edge"], longest=longest, multiple=multiple)
    raise ModelError(
        describe(
            "The size of the images is written in a way that limner does not know",
            where=checkpoint.path / PREPROCESSOR,
            found=f"size {size}",
            expected="shortest_edge and longest_edge, or height and width",
        )
    )


def _names(id2label: Mapping[Any, Any]) -> list[str]:
    """Return the names in the order of their numbers; a name that stands twice gets its number."""
    names = [str(id2label[key]).strip() for key in sorted(id2label, key=int)]
    return [f"{name} ({index})" if names.count(name) > 1 else name for index, name in enumerate(names)]


def _are_same(names: Sequence[str], known: Sequence[str]) -> bool:
    """Whether names are those of a dataset; synonyms after a comma do not count."""
    first = [[name.split(",")[0].strip().casefold() for name in some] for some in (names, known)]
    same = sum(ours == theirs for ours, theirs in zip(*first, strict=True))
    return bool(same >= _SAME_NAMES * len(names))


def _numbered(names: Sequence[str]) -> LabelTable:
    return LabelTable(tuple(LabelClass(name, (i,), distinct_color(i)) for i, name in enumerate(names)))


def _things(task: str) -> str:
    """Return what is to be said where nobody tells objects from regions."""
    return "; all are taken to be countable: say is_thing with --classes" if task == "panoptic" else ""


def _refuse_other_number(names: Sequence[str], num_classes: int, checkpoint: Checkpoint) -> None:
    if len(names) != num_classes:
        raise ModelError(
            describe(
                "The classes do not fit the checkpoint",
                where=checkpoint.path,
                found=f"{len(names)} names: {', '.join(names[:5])}{', ...' * (len(names) > 5)}",
                expected=f"{num_classes}, as its class head scores",
                mend="Name every class, in the order of the training.",
            )
        )
