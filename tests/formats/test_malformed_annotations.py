"""Whatever an annotation file holds, reading it ends in labels, a finding, or an error that names a file.

Each format of `FORMATS` gets the folders of `examples` with one thing wrong at a time, see `mutations`: a new
format is tested by its example.
"""

import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import limner.formats
from limner.checks.reading import read_record
from limner.core.dataset_file import DatasetFile
from limner.core.errors import LimnerError
from limner.core.sample import Record
from limner.formats import FORMATS, open_source
from limner.formats.source import Source

SPOILT = {".json", ".geojson", ".xml", ".yaml", ".txt", ".csv", ".npy", ".png"}


def _sibling(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mutations = _sibling("mutations").mutations
examples = _sibling("examples")

BUILT = [name for name in FORMATS if name in examples.EXAMPLES or name in examples.CLASSES]
"""Formats whose examples need no library that is not installed."""


@pytest.mark.parametrize("name", BUILT)
def test_malformed_annotations_are_refused_or_reported(make_tree, name: str) -> None:
    _spoil_everything(make_tree, name, share=6)


@pytest.mark.long
@pytest.mark.parametrize("name", BUILT)
def test_every_wrong_value_in_every_place(make_tree, name: str) -> None:
    _spoil_everything(make_tree, name, share=1)


def _spoil_everything(make_tree: Any, name: str, *, share: int) -> None:
    before: dict[str, Any] = {}
    number = count()
    for folder in _folders(name):
        for file in before:
            (make_tree({}) / file).unlink(missing_ok=True)
        root = make_tree({file: content for file, content in folder.items() if content is not None})
        for file in _annotations(folder, before):
            good = (root / file).read_bytes()
            for wrong, data in mutations(file, good, share=share):
                (root / file).write_bytes(data)
                try:  # by turns: looking at the folder takes most of the time
                    _read_all(root, name, is_known=share > 1 and next(number) % 3 > 0)
                except Exception as error:
                    raise AssertionError(f"{file}: {wrong}: {type(error).__name__}: {error}") from error
            (root / file).write_bytes(good)
        before |= folder


def _folders(name: str) -> list[dict[str, Any]]:
    base = {**(examples.EXAMPLES.get(name) or examples.CLASSES[name])}
    return [base, *({**base, **more} for more in examples.RICHER.get(name, ()))]


def _annotations(folder: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """Return the files to spoil: those that an earlier folder of the format did not have already."""
    return [
        file
        for file, content in folder.items()
        if Path(file).suffix in SPOILT and content is not None and before.get(file) is not content
    ]


def _read_all(root: Path, name: str, *, is_known: bool) -> None:
    """Open a folder by its format, or by looking as well, and read all of it."""
    for settings in (DatasetFile(format=name), *(() if is_known else (None,))):
        source = _checked(root, open_source, root, settings)
        if source is None:
            continue
        text = json.dumps([finding.to_dict() for finding in source.findings], ensure_ascii=False)
        assert text.encode(), "findings are printed"
        _checked(root, source.declared_labels)
        source.cache_state()
        for record in source.records:
            for read in _readers(source, record):
                _checked(root, read, record)
            if not is_known:
                read_record(source, record)


def _readers(source: Source, record: Record) -> Iterator[Callable[[Record], object]]:
    yield source.read_image
    if record.label is not None:
        yield source.read_class
        return
    yield from (source.read_values, source.read_segments, source.read_objects, source.read_boxes)
    yield from (source.read_words, source.label_problems)


def _checked(root: Path, call: Callable[..., Any], *arguments: object) -> Any:
    """Return what a call gives; None after an error of limner's that names a file and can be printed."""
    try:
        return call(*arguments)
    except LimnerError as error:
        said = str(error)
    assert str(root) in said or any(path.name in said for path in root.rglob("*")), said
    assert said.encode(), "messages are printed"
    assert len(said) < 20_000
    return None


# limner's own data, packed by itself; and dataset.yaml, which is compared with what was just written.
OWN = {"coco/coco_instances", "coco/coco_panoptic", "coco/coco_results", "drawn", "dataset_yaml"}
PARSERS = r"json\.loads?\(|safe_load|yaml\.load|ElementTree\.(parse|fromstring|iterparse)|literal_eval"


def test_files_are_parsed_by_the_readers_of_storage_alone() -> None:
    folder = Path(limner.formats.__file__).parent
    files = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.py")}
    assert {name for name, path in files.items() if re.search(PARSERS, path.read_text("utf-8"))} <= OWN
