"""Folders of each format to spoil, and reading all of one: it ends in labels, findings, or a named file."""

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from limner.checks.reading import read_record
from limner.core.dataset_file import DatasetFile
from limner.core.errors import LimnerError
from limner.core.sample import Record
from limner.formats import FORMATS, open_source
from limner.formats.source import Source

SPOILT = {".json", ".geojson", ".xml", ".yaml", ".txt", ".csv", ".npy", ".png"}
"""Suffixes of files that hold labels."""

_spec = importlib.util.spec_from_file_location("examples", Path(__file__).with_name("examples.py"))
examples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(examples)

BUILT = [name for name in FORMATS if name in examples.EXAMPLES or name in examples.CLASSES]
"""Formats whose examples need no library that is not installed."""


def folders_of(name: str) -> list[dict[str, Any]]:
    """Return the example of a format, and its richer ones, each laid over it: file -> content."""
    base = {**(examples.EXAMPLES.get(name) or examples.CLASSES[name])}
    return [base, *({**base, **more} for more in examples.RICHER.get(name, ()))]


def annotations(folder: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """Return the files to spoil: those that an earlier folder of the format did not have already."""
    return [
        file
        for file, content in folder.items()
        if Path(file).suffix in SPOILT and content is not None and before.get(file) is not content
    ]


def read_all(root: Path, name: str, *, is_known: bool) -> None:
    """Open a folder by its format, or by looking as well, and read all of it.

    Raises:
        AssertionError: An error does not name a file of the folder, or cannot be printed.
    """
    for settings in (DatasetFile(format=name), *(() if is_known else (None,))):
        source = checked(root, open_source, root, settings)
        if source is None:
            continue
        text = json.dumps([finding.to_dict() for finding in source.findings], ensure_ascii=False)
        assert text.encode(), "findings are printed"
        checked(root, source.declared_labels)
        source.cache_state()
        for record in source.records:
            for read in _readers(source, record):
                checked(root, read, record)
            if not is_known:
                read_record(source, record)


def _readers(source: Source, record: Record) -> Iterator[Callable[[Record], object]]:
    yield source.read_image
    if record.label is not None:
        yield source.read_class
        return
    yield from (source.read_values, source.read_segments, source.read_objects, source.read_boxes)
    yield from (source.read_words, source.label_problems)


def checked(root: Path, call: Callable[..., Any], *arguments: object) -> Any:
    """Return what a call gives; None after an error of limner's that names a file and can be printed."""
    try:
        return call(*arguments)
    except LimnerError as error:
        said = str(error)
    assert str(root) in said or any(path.name in said for path in root.rglob("*")), said
    assert said.encode(), "messages are printed"
    assert len(said) < 20_000
    return None
