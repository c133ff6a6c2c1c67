"""Assignment of images to the training, validation and test splits.

Random splits depend only on the seed and the image names, not on the order of the records or the machine.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from limner.core.dataset_file import DatasetFile, SplitFractions, SplitLists
from limner.core.errors import ConfigError, DataError, describe
from limner.core.sample import Record

Splits = dict[str, tuple[Record, ...]]

DEFAULT_FRACTIONS = SplitFractions()
"""Used if no splits are specified: a fifth of the images for validation."""


def assign_splits(
    records: Sequence[Record],
    settings: DatasetFile,
    *,
    seed: int = 0,
    cases: Mapping[str, str] | None = None,
) -> Splits:
    """Divide the labelled records into splits.

    Fractions in `dataset.yaml` take precedence, then the splits of the records (which their source has read
    from folders or list files), then a random 80/20 split. If there are no validation images, a fifth of the
    training images is used.

    Args:
        records: All records of a source; those without labels are omitted.
        settings: The dataset's `dataset.yaml`.
        seed: Random seed, if `dataset.yaml` does not specify one.
        cases: Case of each image that is a slice of a volume; splits that are drawn do not part them.

    Returns:
        ``train`` and ``val``, and ``test`` if there is one; each sorted by name. ``val`` is empty only if a
        single image is labelled.

    Raises:
        ConfigError: The list files in `dataset.yaml` match no record.
        DataError: No image is labelled, or none is left for training.
    """
    labelled = sorted((r for r in records if r.labels), key=lambda r: r.name)
    if not labelled:
        raise DataError(
            describe(
                "No image has labels, so there is nothing to train on",
                found=f"{len(records)} images, none of them labelled",
                fix="Run `limner check` to see how images and labels were paired.",
            )
        )
    if isinstance(settings.splits, SplitLists) and not any(r.split for r in records):
        raise _lists_not_followed(settings.splits)
    if isinstance(settings.splits, SplitFractions):
        splits = drawn(labelled, settings.splits, cases)
    else:
        splits = _laid_out(labelled)
    if not splits["train"]:
        raise _nothing_to_train_on(splits)
    if not splits.get("val"):
        splits |= drawn(splits["train"], DEFAULT_FRACTIONS.model_copy(update={"seed": seed}), cases)
    order = [name for name in ("train", "val", "test") if name in splits]
    return {name: tuple(sorted(splits[name], key=lambda r: r.name)) for name in order}


def drawn(
    records: Sequence[Record], fractions: SplitFractions, cases: Mapping[str, str] | None = None
) -> Splits:
    """Draw validation and test images at random.

    Each name gets its own random number, so that adding an image moves few of the others. If there are enough
    images, every requested split gets at least one, and at least one is left for training. Images with a
    class are drawn class by class, and slices of volumes case by case, unless there is a single case.
    """
    if all(record.label is not None for record in records):
        return _drawn_by_class(records, fractions)
    units: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        units[(cases or {}).get(record.name, record.name)].append(record)
    if len(units) == 1:
        units = {record.name: [record] for record in records}
    ranked = [units[key] for key in sorted(units, key=lambda key: rank(key, fractions.seed))]
    total = len(ranked)
    num_val = min(max(1, round(total * fractions.val)), total - 1)
    num_test = 0
    if fractions.test:
        num_test = min(max(1, round(total * fractions.test)), total - 1 - num_val)
    ends = {"val": (0, num_val), "test": (num_val, num_val + num_test), "train": (num_val + num_test, total)}
    wanted = ("train", "val", "test") if fractions.test else ("train", "val")
    return {name: tuple(r for unit in ranked[slice(*ends[name])] for r in unit) for name in wanted}


def _drawn_by_class(records: Sequence[Record], fractions: SplitFractions) -> Splits:
    """Draw from each class its part; a class of a single image is trained on, so that it can be learned."""
    members: dict[int | None, list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda r: rank(r.name, fractions.seed)):
        members[record.label].append(record)
    parts: dict[str, list[Record]] = {"train": [], "val": [], "test": []}
    for ranked in members.values():
        left = len(ranked) - 1
        num_val = min(max(round(len(ranked) * fractions.val), 1), left)
        num_test = min(max(round(len(ranked) * fractions.test), 1), left - num_val) if fractions.test else 0
        parts["val"] += ranked[:num_val]
        parts["test"] += ranked[num_val : num_val + num_test]
        parts["train"] += ranked[num_val + num_test :]
    wanted = ("train", "val", "test") if fractions.test else ("train", "val")
    return {name: tuple(parts[name]) for name in wanted}


def rank(name: str, seed: int) -> bytes:
    """Return the random rank of a name, which does not depend on other names."""
    return blake2b(f"{seed}/{name}".encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _laid_out(labelled: Sequence[Record]) -> Splits:
    """Return the splits of the records; images without a split are used if none is in ``train``."""
    train = [r for r in labelled if r.split == "train"] or [r for r in labelled if r.split is None]
    splits: Splits = {"train": tuple(train)}
    for name in ("val", "test"):
        rows = tuple(r for r in labelled if r.split == name)
        if rows:
            splits[name] = rows
    return splits


def _nothing_to_train_on(splits: Splits) -> DataError:
    found = ", ".join(f"{len(rows)} in {name}" for name, rows in splits.items() if rows)
    return DataError(
        describe(
            "No labelled image is left to train on",
            found=f"labelled images: {found}",
            expected="at least one labelled image in train",
            fix="Add a train folder, or write `splits: {val: 0.2}` into dataset.yaml to draw splits.",
        )
    )


def _lists_not_followed(lists: SplitLists) -> ConfigError:
    return ConfigError(
        describe(
            "The split lists in dataset.yaml contain no image of this dataset",
            where="splits in dataset.yaml",
            found=f"train: {lists.train}",
            expected="list files or folders with images of this dataset",
            fix="Write `splits: {val: 0.2}` to draw splits, or correct the lists.",
        )
    )
