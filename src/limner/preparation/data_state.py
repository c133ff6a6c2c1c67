"""What a run learns from: its images, labels and splits, noted when it begins and compared when it resumes.

Files of the same size and time of change count as the same. If only the time differs, such as after a copy,
the content decides: the pixels of images, whose hash the check has computed, and the bytes of label files.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from limner.checks.measuring import digest
from limner.checks.reading import relative
from limner.core.errors import DataError, LimnerError, describe
from limner.core.run_folder import RunFolder
from limner.core.sample import Record
from limner.core.wording import count_words
from limner.formats.source import Source
from limner.loading.splits import Splits
from limner.storage.file_states import file_state
from limner.storage.json_files import write_json
from limner.storage.whole_files import write_whole

EXAMPLES = 3
"""Number of names in a sentence about several images."""


def write_data_state(run: RunFolder, source: Source, splits: Splits, pixel_hashes: Mapping[str, str]) -> None:
    """Note the data of a run.

    Args:
        run: The run.
        source: Its dataset.
        splits: The images of each split.
        pixel_hashes: Image -> digest of its pixels; images without one are compared by size only.

    Raises:
        WriteError: The file cannot be written.
    """
    records = [record for members in splits.values() for record in members]
    labels = {file for record in records for file in record.files if file not in record.images}
    state = {
        "splits": {split: [record.name for record in members] for split, members in splits.items()},
        "pixels": {record.name: pixel_hashes.get(record.name, "") for record in records},
        "files": {relative(file, source.root): _state(file) for r in records for file in r.files},
        "labels": {relative(file, source.root): _bytes_hash(file) for file in labels},
    }
    write_whole(run.data_state, json.dumps(state))


def noted_digests(run: RunFolder) -> dict[str, str]:
    """Return image -> digest of its pixels, or an empty string; empty for runs of older versions.

    Raises:
        DataError: The note is damaged.
    """
    with _damage_refused(run.data_state):
        before = _read_state(run)
        return {} if before is None else dict(before["pixels"])


def data_changes(run: RunFolder, source: Source, splits: Splits) -> tuple[str, ...]:
    """Return in sentences how the data differs from that of the run's beginning; empty if it does not.

    Runs whose data was never noted, such as those of older versions, have no differences.

    Raises:
        DataError: The note is damaged.
    """
    with _damage_refused(run.data_state):
        before = _read_state(run)
        if before is None:
            return ()
        return (*_moved(before["splits"], splits), *_changed(before, source, splits))


def _read_state(run: RunFolder) -> dict[str, Any] | None:
    """Return what `write_data_state` noted, or None for a run of an older version."""
    return dict(json.loads(run.data_state.read_bytes())) if run.data_state.is_file() else None


@contextmanager
def _damage_refused(path: Path) -> Iterator[None]:
    """Report a damaged note.

    Raises:
        DataError: It is damaged.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            describe(
                "The note of the run's data is damaged, so it is unknown whether the data has changed",
                where=path,
                found=f"{type(error).__name__}: {error}",
                fix="Delete the file if the data is the same.",
            )
        ) from None


def note_data_changes(run: RunFolder, changes: Iterable[str]) -> None:
    """Add changes with which the run continues to its list, which the report shows."""
    known = json.loads(run.data_changes.read_bytes()) if run.data_changes.is_file() else []
    write_json(run.data_changes, [*known, *changes])


def refuse_changes(run: RunFolder, changes: Iterable[str]) -> None:
    """Refuse to resume with other data.

    Raises:
        DataError: There are changes.
    """
    found = "; ".join(changes)
    if found:
        raise DataError(
            describe(
                "The data of this run has changed since it began",
                where=run.root,
                found=found,
                expected="the same images, labels and splits: a resumed run ends as an uninterrupted one",
                fix=f"Restore the data and {run.splits}, start a new run, or add --data-changed to continue "
                "and note it in the report.",
            )
        )


def _moved(before: Mapping[str, list[str]], splits: Splits) -> Iterator[str]:
    """Describe images that were added, removed, or moved between splits."""
    old = {name: split for split, names in before.items() for name in names}
    new = {record.name: split for split, members in splits.items() for record in members}
    moves: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            moves[old.get(name, ""), new.get(name, "")].append(name)
    for (source, target), names in moves.items():
        if not source:
            yield f"{_named(names)} added to {target}"
        else:
            yield f"{_named(names)} moved from {source} to {target or 'no split'}"
    double = [name for name, count in _counts(splits).items() if count > 1]
    if double:
        yield f"{_named(double)} in several splits"


def _counts(splits: Splits) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for members in splits.values():
        for record in members:
            counts[record.name] += 1
    return counts


def _changed(before: Mapping[str, Any], source: Source, splits: Splits) -> Iterator[str]:
    """Describe images and label files whose content is another one."""
    records = {record.name: record for members in splits.values() for record in members}
    images, labels = [], set()
    for name, record in records.items():
        if name not in before["pixels"]:
            continue
        touched = {
            file for file in record.files if _state(file) != before["files"].get(relative(file, source.root))
        }
        if touched.intersection(record.images) and _other_pixels(source, record, before["pixels"][name]):
            images.append(name)
        labels |= touched.difference(record.images)
    if images:
        yield f"{_named(images)} with other content"
    others = [
        relative(file, source.root)
        for file in sorted(labels)
        if _bytes_hash(file) != before["labels"].get(relative(file, source.root))
    ]
    if others:
        yield f"{_named(others, 'label file')} with other content"


def _other_pixels(source: Source, record: Record, before: str) -> bool:
    try:
        return digest(source.read_image(record).array) != before
    except LimnerError:
        return True


def _state(file: Path) -> list[int]:
    """Return size and time of a file as JSON stores them; empty if it is missing."""
    return list(file_state(file) or ())


def _bytes_hash(file: Path) -> str:
    found = blake2b(digest_size=16)
    try:
        with file.open("rb") as opened:
            while block := opened.read(2**20):
                found.update(block)
    except OSError:
        return ""
    return found.hexdigest()


def _named(names: list[str], what: str = "image") -> str:
    """Count things in words, with examples."""
    examples = ", ".join(names[:EXAMPLES]) + (", ..." if len(names) > EXAMPLES else "")
    return f"{count_words(len(names), what)} ({examples})"
