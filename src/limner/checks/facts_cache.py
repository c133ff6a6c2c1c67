"""Facts kept on disk, so that training after a check does not read every file again."""

import gzip
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, fields
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from limner.checks.facts import Components, ImageFacts, Intensity, ObjectFacts
from limner.checks.reading import Reading
from limner.checks.volume_facts import VolumeFacts
from limner.core.sample import Record
from limner.formats.source import Source
from limner.storage.cache import Cache
from limner.storage.containers import file_on_disk

VERSION = 15
"""Increase it whenever a measurement changes: older entries are then ignored."""

_FILES = Cache("facts", suffix=".jsonl.gz")

_ARRAYS: dict[str, npt.DTypeLike] = {"thumbnail_means": np.float32, "thumbnail": np.uint8}


def fingerprint(source: Source, record: Record) -> str:
    """Return a text that changes when a file of the record does, or the way it is read."""
    settings = source.settings
    read_as = f"{settings.encoding!r} {settings.boxes} {settings.label_grid} {source.reading_state(record)}"
    parts = [str(VERSION), source.name, read_as, record.name, f"{record.label} {record.tags}"]
    for path in record.files:
        try:
            status = file_on_disk(path).stat()
            # Copying may keep the time of the content, but not that of the entry.
            parts.append(f"{path} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}")
        except OSError as error:
            parts.append(f"{path} {error.errno}")
    return blake2b("\n".join(parts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


class FactsCache:
    """The readings of one dataset: one compressed file, a JSON line each.

    Args:
        root: The dataset folder, or None to keep nothing.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._readings = {} if root is None else _FILES.load(root, _read) or {}

    def get(self, key: str) -> Reading | None:
        """Return what is known under `key`, or None."""
        return self._readings.get(key)

    def replace(self, readings: Mapping[str, Reading]) -> None:
        """Keep `readings` and nothing else; a reading that failed is not kept, since access may be fixed."""
        kept = {k: r for k, r in readings.items() if not (r.facts.image_error or r.facts.label_error)}
        if self._root is not None and kept.keys() != self._readings.keys():
            _FILES.save(self._root, lambda file: _write(file, kept))


def _read(file: BinaryIO) -> dict[str, Reading]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        entries = [json.loads(line) for line in lines]
    return {entry["key"]: _from_json(entry) for entry in entries}


def _write(file: BinaryIO, readings: Mapping[str, Reading]) -> None:
    with gzip.open(file, "wt", 1, encoding="utf-8") as lines:
        lines.writelines(json.dumps(_to_json(key, reading)) + "\n" for key, reading in readings.items())


def _to_json(key: str, reading: Reading) -> dict[str, Any]:
    facts = reading.facts
    row = {f.name: getattr(facts, f.name) for f in fields(facts) if f.name not in (*_ARRAYS, "occupancy")}
    row["intensities"] = [list(asdict(i).values()) for i in facts.intensities]
    row["objects"] = {v: list(asdict(o).values()) for v, o in facts.objects.items()}
    row["components"] = {v: [c.count, c.median_area] for v, c in facts.components.items()}
    row["volume"] = None if facts.volume is None else facts.volume.to_json()
    row |= {name: _pack(getattr(facts, name)) for name in _ARRAYS}
    return {"key": key, "facts": row, "grids": {v: _pack(grid) for v, grid in reading.grids.items()}}


def _from_json(entry: dict[str, Any]) -> Reading:
    row = dict(entry["facts"])
    row["intensities"] = tuple(Intensity(*values) for values in row["intensities"])
    row["components"] = {int(v): Components(*c) for v, c in row["components"].items()}
    row["objects"] = {int(v): ObjectFacts(*o) for v, o in row["objects"].items()}
    row["value_counts"] = {int(v): n for v, n in row["value_counts"].items()}
    row["value_centers"] = {int(v): tuple(center) for v, center in row["value_centers"].items()}
    row["palette"] = {int(v): color for v, color in row["palette"].items()}
    row["label_names"] = {int(v): name for v, name in row["label_names"].items()}
    row["shape"] = tuple(row["shape"])
    row["label_problems"] = tuple(tuple(case) for case in row["label_problems"])
    row["label_shape"] = None if row["label_shape"] is None else tuple(row["label_shape"])
    row["volume"] = None if row["volume"] is None else VolumeFacts.from_json(row["volume"])
    row |= {name: _unpack(row[name], dtype) for name, dtype in _ARRAYS.items()}
    return Reading(
        ImageFacts(**row), {int(v): _require(_unpack(g, np.float32)) for v, g in entry["grids"].items()}
    )


def _pack(array: npt.NDArray[Any] | None) -> list[Any] | None:
    """Return an array as shape and base64 text: cached facts equal fresh ones bit for bit."""
    return None if array is None else [list(array.shape), b64encode(array.tobytes()).decode()]


def _unpack(packed: list[Any] | None, dtype: npt.DTypeLike) -> npt.NDArray[Any] | None:
    return None if packed is None else np.frombuffer(b64decode(packed[1]), dtype).reshape(packed[0])


def _require(array: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    if array is None:
        raise ValueError("a grid is missing")
    return array
