from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from limner.core.errors import DataError
from limner.core.label_map import LabelMap
from limner.core.sample import Record
from limner.loading.dataset import Dataset
from limner.loading.image_cache import MemoryCache


def test_a_sample_holds_the_image_and_the_trained_labels(memory_source, labels):
    dataset = Dataset(memory_source, memory_source.records, labels)
    sample = dataset[3]
    record = memory_source.records[3]
    values = memory_source.read_values(record)
    assert sample.name == "image 003"
    assert np.array_equal(sample.image, memory_source.read_image(record).array)
    for value, trained in {0: 0, 7: 1, 9: 2}.items():
        assert (sample.get(LabelMap).labels[values == value] == trained).all()
    assert len(dataset) == 12


def test_each_file_is_decoded_once(memory_source, labels):
    dataset = Dataset(memory_source, memory_source.records, labels)
    for index in (0, 1, 0, 1, 0):
        first = dataset[index]
        assert np.array_equal(first.image, dataset[index].image)
    assert memory_source.reads == ["image 000", "image 001"]


def test_without_a_cache_each_read_decodes(memory_source, labels):
    dataset = Dataset(memory_source, memory_source.records, labels, cache=None)
    dataset[0], dataset[0]
    assert memory_source.reads == ["image 000"] * 2


def test_cached_arrays_cannot_be_changed_by_accident(memory_source, labels):
    sample = Dataset(memory_source, memory_source.records, labels)[0]
    with pytest.raises(ValueError, match="read-only"):
        sample.image[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        sample.get(LabelMap).labels[0] = 0


def test_a_full_cache_decodes_the_rest_each_time(memory_source, labels):
    one = 40 * 50 * 3 + 40 * 50
    dataset = Dataset(memory_source, memory_source.records, labels, cache=MemoryCache(2 * one))
    for _ in range(2):
        for index in range(4):
            dataset[index]
    assert sorted(memory_source.reads) == [f"image 00{i}" for i in (0, 1, 2, 2, 3, 3)]


def test_sizes_that_differ_are_named(memory_source, labels):
    memory_source.read_values = lambda record: np.zeros((40, 49), np.uint8)
    with pytest.raises(DataError, match="The labels and their image differ in size: image 000") as caught:
        Dataset(memory_source, memory_source.records, labels)[0]
    assert "labels of 49x40" in str(caught.value)
    assert "50x40, as in image 000" in str(caught.value)


def test_an_unknown_value_names_its_file(memory_source, labels):
    memory_source.read_values = lambda record: np.full((40, 50), 5, np.uint8)
    with pytest.raises(DataError, match=r"named labels in image 002: \[5\]"):
        Dataset(memory_source, memory_source.records, labels)[2]


@pytest.fixture
def record_with_region(memory_source, tmp_path):
    def with_region(region):
        cv2.imwrite(str(tmp_path / "region.png"), region)
        return replace(memory_source.records[0], valid_region=tmp_path / "region.png")

    return with_region


def test_labels_outside_the_valid_region_are_ignored(memory_source, labels, record_with_region):
    region = np.zeros((40, 50), np.uint8)
    region[5:30, 10:20] = 255
    (sample,) = Dataset(memory_source, [record_with_region(region)], labels)
    everywhere = Dataset(memory_source, memory_source.records, labels)[0]
    assert (sample.get(LabelMap).labels[region == 0] == 255).all()
    assert np.array_equal(
        sample.get(LabelMap).labels[region > 0], everywhere.get(LabelMap).labels[region > 0]
    )


def test_a_valid_region_of_another_size_is_named(memory_source, labels, record_with_region):
    dataset = Dataset(memory_source, [record_with_region(np.ones((40, 51), np.uint8))], labels)
    with pytest.raises(DataError, match=r"field of view and its mask differ in size: .*region\.png"):
        dataset[0]


def test_one_channel_of_three_does_not_keep_the_others(memory_source, labels):
    whole = np.zeros((40, 50, 3), np.uint8)
    memory_source.read_values = lambda record: whole[..., 0]
    semantic = Dataset(memory_source, memory_source.records, labels)[0].get(LabelMap).labels
    assert semantic.flags.c_contiguous
    assert not np.shares_memory(semantic, whole)


def test_several_label_files_are_counted_in_messages(memory_source, labels):
    record = Record("many 000", Path("image 000"), (Path("a"), Path("b"), Path("c")))
    memory_source.read_values = lambda record: np.full((40, 50), 5, np.uint8)
    with pytest.raises(DataError, match="a and 2 more"):
        Dataset(memory_source, [record], labels)[0]
