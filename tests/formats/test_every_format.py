"""What holds of each row of `FORMATS`; a new format is tested by adding how one of its folders is built."""

import importlib.util
import pickle
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.formats import FORMATS, open_source

_spec = importlib.util.spec_from_file_location("examples", Path(__file__).with_name("examples.py"))
examples = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(examples)
EXAMPLES, CLASSES, MASK, PICTURE = examples.EXAMPLES, examples.CLASSES, examples.MASK, examples.PICTURE


def picture_of(name: str) -> np.ndarray:
    if name == "dicom-series":  # slope 2 and intercept -1024
        return (examples.VOLUME // 2 * 2)[..., None]
    return examples.VOLUME[..., None] if name in examples.VOLUMES else PICTURE


def mask_of(name: str) -> np.ndarray:
    return examples.VOLUME_MASK if name in examples.VOLUMES else MASK


READ_AT_ONCE = (".json", ".xml", ".geojson", ".csv", ".txt")
"""Suffixes of label files that are read once, when the folder is opened."""

UNTESTED = set() if find_spec("pydicom") else {"dicom-series"}
"""Formats that need a library which is not installed."""

MASKS = [name for name in FORMATS if name not in CLASSES and name not in UNTESTED]


@pytest.mark.parametrize("name", MASKS)
def test_reads_images_and_values(make_tree, name: str) -> None:
    source = open_source(make_tree(EXAMPLES[name]))
    assert source.name == name
    assert FORMATS[name].title
    (record,) = source.records
    if record.image.suffix != ".jpg":
        np.testing.assert_array_equal(source.read_image(record).array, picture_of(name))
    values = source.read_values(record)
    np.testing.assert_array_equal(values, mask_of(name))
    assert values.dtype.kind in "ui"


@pytest.mark.parametrize("name", MASKS)
def test_can_cross_to_another_process(make_tree, name: str) -> None:
    source = open_source(make_tree(EXAMPLES[name]))
    again = pickle.loads(pickle.dumps(source))
    assert again.records == source.records
    np.testing.assert_array_equal(again.read_values(again.records[0]), mask_of(name))


@pytest.mark.parametrize("name", MASKS)
def test_a_kept_index_is_the_index(make_tree, name: str, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("limner.formats.index_cache.MIN_FILES", 0)
    monkeypatch.setattr("limner.formats.index_cache.SETTLED_NS", -(10**18))
    root = make_tree(EXAMPLES[name])
    first = open_source(root)
    if first.cache_state() is None:
        pytest.skip("is indexed each time")
    monkeypatch.setattr(FORMATS[name], "index", None)
    again = open_source(root)
    assert (again.records, again.findings) == (first.records, first.findings)
    assert again.declared_labels() == first.declared_labels()
    np.testing.assert_array_equal(again.read_values(again.records[0]), mask_of(name))


@pytest.mark.parametrize("name", [m for m in MASKS if m != "yolo"])  # its files may be empty
@pytest.mark.parametrize("damage", [b"", b"some text", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"])
def test_a_damaged_mask_is_named(make_tree, name: str, damage: bytes) -> None:
    if name == "webdataset":
        pytest.skip("its masks are in an archive: tests/formats/archives")
    if name in ("icdar-text", "total-text") and not damage:
        pytest.skip("an image without a word has an empty file")
    root = make_tree(EXAMPLES[name])
    source = open_source(root)
    source.records[0].labels[0].write_bytes(damage)
    with pytest.raises(DataError) as refused:
        if source.records[0].labels[0].suffix in READ_AT_ONCE:
            source = type(source)(root, source.settings)
        source.read_values(source.records[0])
    assert str(source.records[0].labels[0]) in str(refused.value)


@pytest.mark.parametrize("name", MASKS)
def test_reading_writes_nothing(make_tree, name: str) -> None:
    root = make_tree(EXAMPLES[name])
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    source = open_source(root)
    source.read_values(source.records[0])
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


@pytest.mark.parametrize("name", CLASSES)
def test_gives_the_class_of_each_image(make_tree, name: str, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("limner.formats.index_cache.MIN_FILES", 0)
    monkeypatch.setattr("limner.formats.index_cache.SETTLED_NS", -(10**18))
    root = make_tree(CLASSES[name])
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    source = open_source(root)
    assert source.name == name
    for again in (pickle.loads(pickle.dumps(source)), open_source(root)):  # the second is a kept index
        assert again.records == source.records
        record = again.records[-1]
        values = [again.read_class(record)] if record.tags is None else again.read_tags(record)
        names = [again.declared_labels().names[value] for value in values]
        assert names == ["ñ" + " 1" * (name == "class-folders")]
        np.testing.assert_array_equal(again.read_image(record).array, PICTURE)
        with pytest.raises(DataError, match="a class for each image"):
            again.read_values(record)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_every_format_has_an_example() -> None:
    assert {*EXAMPLES, *CLASSES} == {*FORMATS} - UNTESTED
