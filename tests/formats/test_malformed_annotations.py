"""Whatever an annotation file holds, reading it ends in labels, a finding, or an error that names a file.

Each format of `FORMATS` gets the folders of `examples` with one thing wrong at a time, see `mutations`: a new
format is tested by its example.
"""

import importlib.util
import re
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import limner.formats


def _sibling(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mutations = _sibling("mutations").mutations
spoilt = _sibling("spoilt_folders")


@pytest.mark.parametrize("name", spoilt.BUILT)
def test_malformed_annotations_are_refused_or_reported(make_tree, name: str) -> None:
    _spoil_everything(make_tree, name, share=6)


@pytest.mark.long
@pytest.mark.parametrize("name", spoilt.BUILT)
def test_every_wrong_value_in_every_place(make_tree, name: str) -> None:
    _spoil_everything(make_tree, name, share=1)


def _spoil_everything(make_tree: Any, name: str, *, share: int) -> None:
    before: dict[str, Any] = {}
    number = count()
    for folder in spoilt.folders_of(name):
        for file in before:
            (make_tree({}) / file).unlink(missing_ok=True)
        root = make_tree({file: content for file, content in folder.items() if content is not None})
        for file in spoilt.annotations(folder, before):
            good = (root / file).read_bytes()
            for wrong, data in mutations(file, good, share=share):
                (root / file).write_bytes(data)
                try:  # by turns: looking at the folder takes most of the time
                    spoilt.read_all(root, name, is_known=share > 1 and next(number) % 3 > 0)
                except Exception as error:
                    raise AssertionError(f"{file}: {wrong}: {type(error).__name__}: {error}") from error
            (root / file).write_bytes(good)
        before |= folder


# limner's own data, packed by itself; and dataset.yaml, which is compared with what was just written.
OWN = {"coco/coco_instances", "coco/coco_panoptic", "coco/coco_results", "drawn", "dataset_yaml"}
PARSERS = r"json\.loads?\(|safe_load|yaml\.load|ElementTree\.(parse|fromstring|iterparse)|literal_eval"


def test_files_are_parsed_by_the_readers_of_storage_alone() -> None:
    folder = Path(limner.formats.__file__).parent
    files = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.py")}
    assert {name for name, path in files.items() if re.search(PARSERS, path.read_text("utf-8"))} <= OWN
