"""Which images are for training, which for validation, which for the final test.

A split depends on the seed and the image names alone: not on the order of the records, nor on the machine.
"""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path, PurePosixPath

from limner.core.dataset_file import DatasetFile, SplitFractions, SplitLists
from limner.core.errors import ConfigError, DataError, describe, did_you_mean
from limner.core.sample import Record

Splits = dict[str, tuple[Record, ...]]

DEFAULT_FRACTIONS = SplitFractions()
"""Where nobody named splits: one image in five validates."""

SHOWN = 5
"""Names that a message lists before it says how many more there are."""


def assign_splits(
    records: Sequence[Record], settings: DatasetFile, *, seed: int = 0, root: Path | None = None
) -> Splits:
    """Divide the labelled records into splits.

    What `dataset.yaml` says comes first, then what the folders or list files of the layout say, then an
    80/20 draw. Where a layout has no validation images, they are drawn from its training images.

    Args:
        records: All records of a source; those without labels are left out.
        settings: The dataset's `dataset.yaml`.
        seed: Of the draw, where `dataset.yaml` does not name its own.
        root: The dataset folder that list files are relative to. Left out, it is the nearest folder above
            the images that holds the training list.

    Returns:
        ``train`` and ``val``, and ``test`` where there is one; each sorted by name. ``val`` is empty only
        where a single image is labelled.

    Raises:
        ConfigError: List files name an image twice or one that is not there, or a split is left empty.
        DataError: No image is labelled, or none is left to train on.
    """
    labelled = sorted((r for r in records if r.labels), key=lambda r: r.name)
    if not labelled:
        raise DataError(
            describe(
                "No image has labels, so there is nothing to train on",
                found=f"{len(records)} images, none of them with a mask",
                mend="Run `limner check` to see how images and masks were paired.",
            )
        )
    if isinstance(settings.splits, SplitLists):
        splits = _listed(records, settings.splits, root or _folder_of_lists(records, settings.splits))
    elif isinstance(settings.splits, SplitFractions):
        splits = drawn(labelled, settings.splits)
    else:
        splits = _laid_out(labelled)
    if not splits["train"]:
        raise _nothing_to_train_on(splits)
    if not splits.get("val"):
        splits |= drawn(splits["train"], DEFAULT_FRACTIONS.model_copy(update={"seed": seed}))
    order = [name for name in ("train", "val", "test") if name in splits]
    return {name: tuple(sorted(splits[name], key=lambda r: r.name)) for name in order}


def drawn(records: Sequence[Record], fractions: SplitFractions) -> Splits:
    """Draw validation and test images at random.

    Each name gets its own random number, so that adding an image moves few of the others. As long as there
    are images enough, every wanted split gets one and one is left to train on.
    """
    ranked = sorted(records, key=lambda r: _rank(r.name, fractions.seed))
    total = len(ranked)
    num_val = min(max(1, round(total * fractions.val)), total - 1)
    num_test = 0
    if fractions.test:
        num_test = min(max(1, round(total * fractions.test)), total - 1 - num_val)
    splits: Splits = {"train": tuple(ranked[num_val + num_test :]), "val": tuple(ranked[:num_val])}
    return splits | {"test": tuple(ranked[num_val : num_val + num_test])} if fractions.test else splits


def _rank(name: str, seed: int) -> bytes:
    return blake2b(f"{seed}/{name}".encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _laid_out(labelled: Sequence[Record]) -> Splits:
    """Return the splits that the layout names; images of no split train only where no image is for it."""
    named = {r.split for r in labelled} - {None}
    train = [r for r in labelled if r.split == "train"] or [r for r in labelled if r.split is None]
    others = {s: tuple(r for r in labelled if r.split == s) for s in sorted(named - {"train"}, key=str)}
    return {"train": tuple(train)} | {str(s): rows for s, rows in others.items()}


def _listed(records: Sequence[Record], lists: SplitLists, root: Path) -> Splits:
    splits: Splits = {}
    taken: dict[str, str] = {}
    twice: list[str] = []
    for split, entry in (("train", lists.train), ("val", lists.val), ("test", lists.test)):
        if entry is None:
            continue
        rows = _read_entry(records, root / entry, f"splits.{split}")
        twice += [f"{r.name} ({taken[r.name]} and {split})" for r in rows if r.name in taken]
        taken |= {r.name: split for r in rows}
        splits[split] = tuple(r for r in rows if r.labels)
        if not splits[split]:
            raise ConfigError(
                describe(
                    f"The {split} split holds no labelled image",
                    where=root / entry,
                    found=f"{len(rows)} images, none with labels",
                    mend=f"Name another list or folder under `splits.{split}` in dataset.yaml.",
                )
            )
    if twice:
        raise ConfigError(
            describe(
                "Splits overlap: an image may stand in one of them only",
                where="splits in dataset.yaml",
                found=_some(twice),
                mend="Take each image out of all lists but one.",
            )
        )
    return splits


def _read_entry(records: Sequence[Record], path: Path, key: str) -> list[Record]:
    """Return the records that a list file names, or that lie in a folder."""
    if path.is_dir():
        return [r for r in records if path in r.image.parents]
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            describe(
                f"The split list of `{key}` cannot be read",
                where=path,
                found=error.strerror or "no such file" if isinstance(error, OSError) else "not UTF-8 text",
                expected="a text file with one image name a line, or a folder",
            )
        ) from error
    index = _NameIndex(records)
    rows = [(n, line.strip()) for n, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#"]
    found = [(n, line, index.find(line)) for n, line in rows]
    missing = [f"line {n}: {line}" for n, line, record in found if record is None]
    if missing:
        wanted = missing[0].partition(": ")[2]
        hint = did_you_mean(wanted, [r.name for r in records])
        raise ConfigError(
            describe(
                "A split list names images that are not in the dataset, or that several images could be",
                where=path,
                found=_some(missing) + hint,
                expected=f"one image name a line, such as {records[0].name}",
                mend="Correct these lines, or take them out.",
            )
        )
    return list({record.name: record for _, _, record in found if record is not None}.values())


class _NameIndex:
    """Finds the record that a line of a list file means: a name, a file name, or the end of a path."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._by_stem: dict[str, list[Record]] = {}
        for record in records:
            stem = PurePosixPath(record.name).name
            self._by_stem.setdefault(stem, []).append(record)

    def find(self, line: str) -> Record | None:
        """Return the one record that `line`, or its first column, means; None for none or several."""
        columns = line.replace(",", "\t").split("\t")[0].strip()
        for text in dict.fromkeys((line, columns, line.split()[0])):
            path = PurePosixPath(text.replace("\\", "/").lstrip("/"))
            for key in dict.fromkeys((path, path.with_suffix("") if path.suffix else path)):
                matches = [r for r in self._by_stem.get(key.name, []) if _same_end(key, r)]
                if len(matches) == 1:
                    return matches[0]
        return None


def _same_end(key: PurePosixPath, record: Record) -> bool:
    """Return whether the shorter of a path and a record's own path is the end of the longer."""
    for own in (PurePosixPath(record.name), PurePosixPath(record.image.as_posix()).with_suffix("")):
        length = min(len(key.parts), len(own.parts))
        if key.parts[-length:] == own.parts[-length:]:
            return True
    return False


def _folder_of_lists(records: Sequence[Record], lists: SplitLists) -> Path:
    above = records[0].image.parents
    return next((folder for folder in above if (folder / lists.train).exists()), above[0])


def _nothing_to_train_on(splits: Splits) -> DataError:
    found = ", ".join(f"{len(rows)} in {name}" for name, rows in splits.items() if rows)
    return DataError(
        describe(
            "No labelled image is left to train on",
            found=f"labelled images: {found}",
            expected="at least one labelled image in train",
            mend="Add a train folder, or write `splits: {val: 0.2}` into dataset.yaml to draw splits.",
        )
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return "; ".join(names[:SHOWN]) + more
