"""Read every file of a dataset once, on all cores, and measure it."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import cv2
import numpy as np

from limner.checks.facts import GRID, DatasetFacts, Grid, ImageFacts
from limner.checks.facts_cache import FactsCache, fingerprint
from limner.checks.reading import Reading, read_record
from limner.core.progress import Track, silent
from limner.core.sample import Record
from limner.devices.host import num_cores
from limner.formats.source import Source

T = TypeVar("T")
R = TypeVar("R")

GREY_TO_COLOR = 0x010101
"""Factor from a grey level to the packed colour with equal red, green and blue."""


def scan(
    source: Source, *, workers: int | None = None, track: Track = silent, cache: bool = True
) -> DatasetFacts:
    """Read every image and label file once and measure it.

    Files that cannot be read do not raise: their facts hold the error.

    Args:
        source: The opened dataset.
        workers: Reading threads; None uses every core this process may run on.
        track: Shows the progress.
        cache: Store the facts in the user's cache folder, so that unchanged files are not read
            again.

    Returns:
        One entry for each record, in the order of the records.
    """
    store = FactsCache(source.root if cache else None)
    keys = [fingerprint(source, record) for record in source.records]
    known = {record.name: store.get(key) for record, key in zip(source.records, keys, strict=True)}
    missing = [record for record in source.records if known[record.name] is None]
    try:
        if missing:
            results = ordered_map(lambda record: read_record(source, record), missing, workers or num_cores())
            with _opencv_on_one_core():
                for record, reading in zip(
                    missing, track(results, "reading files", len(missing)), strict=False
                ):
                    known[record.name] = reading
    finally:
        # Also after Ctrl-C, so that files read so far are not read again.
        store.replace({k: r for k, rec in zip(keys, source.records, strict=True) if (r := known[rec.name])})
    return assemble(source.records, [known[record.name] for record in source.records])


def assemble(records: Sequence[Record], readings: Sequence[Reading | None]) -> DatasetFacts:
    """Combine the readings, and add the facts that need the whole dataset."""
    found = [reading for reading in readings if reading is not None]
    assert len(found) == len(records), "a record was not read"
    found = _one_kind_of_label(
        [replace(r, facts=replace(r.facts, split=rec.split)) for r, rec in zip(found, records, strict=True)]
    )
    total = Counter[int]()
    for reading in found:
        total.update(reading.facts.value_counts)
    if not total:
        return DatasetFacts(tuple(reading.facts for reading in found))
    commonest = total.most_common(1)[0][0]
    return DatasetFacts(tuple(_with_occupancy(reading, commonest) for reading in found))


@contextmanager
def _opencv_on_one_core() -> Iterator[None]:
    """Keep OpenCV from starting threads inside each of ours, which would compete for cores."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def ordered_map(work: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[R]:
    """Yield ``work(item)`` in order, computed by threads that run only a few items ahead."""
    with ThreadPoolExecutor(workers, thread_name_prefix="limner-scan") as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _with_occupancy(reading: Reading, commonest: int) -> ImageFacts:
    if reading.facts.label_shape is None or reading.facts.label_kind == "class":
        return reading.facts
    empty: Grid = np.zeros((GRID, GRID), np.float32)
    return replace(reading.facts, occupancy=np.clip(1 - reading.grids.get(commonest, empty), 0, 1))


def _one_kind_of_label(readings: list[Reading]) -> list[Reading]:
    """In a colour-coded dataset, turn masks that happen to be grey (such as all black) into colours too."""
    if not any(r.facts.label_kind == "color" for r in readings):
        return readings
    return [_as_color(r) if _is_grey_rgb(r.facts) else r for r in readings]


def _is_grey_rgb(facts: ImageFacts) -> bool:
    return (
        facts.label_kind == "index" and facts.label_channels >= 3 and max(facts.value_counts, default=0) < 256
    )


def _as_color(reading: Reading) -> Reading:
    facts = replace(
        reading.facts,
        label_kind="color",
        value_counts={v * GREY_TO_COLOR: n for v, n in reading.facts.value_counts.items()},
        components={v * GREY_TO_COLOR: c for v, c in reading.facts.components.items()},
        value_centers={v * GREY_TO_COLOR: c for v, c in reading.facts.value_centers.items()},
    )
    return Reading(facts, {v * GREY_TO_COLOR: grid for v, grid in reading.grids.items()})
