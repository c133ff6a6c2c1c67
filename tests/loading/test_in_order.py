import threading
import time

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.loading.dataset import Dataset
from limner.loading.in_order import samples_in_order


@pytest.mark.parametrize("workers", [0, 1, 4, 40])
def test_every_sample_in_order(memory_source, labels, workers):
    dataset = Dataset(memory_source, memory_source.records, labels)
    samples = list(samples_in_order(dataset, workers=workers))
    assert [s.name for s in samples] == [r.name for r in memory_source.records]
    assert np.array_equal(samples[5].semantic, dataset[5].semantic)


def test_reads_only_a_few_ahead(make_source, labels):
    source = make_source(num_images=50)
    dataset = Dataset(source, source.records, labels, cache=None)
    samples = samples_in_order(dataset, workers=2)
    next(samples)
    time.sleep(0.2)
    assert len(source.reads) <= 4
    samples.close()
    deadline = time.monotonic() + 5
    while any(t.name.startswith("limner-reading") for t in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_bad_file_raises_when_its_turn_comes(memory_source, labels):
    good = memory_source.read_image

    def read_image(record):
        if record.name == "image 003":
            raise DataError("The image cannot be read: image 003")
        return good(record)

    memory_source.read_image = read_image
    samples = samples_in_order(Dataset(memory_source, memory_source.records, labels), workers=4)
    assert [next(samples).name for _ in range(3)] == ["image 000", "image 001", "image 002"]
    with pytest.raises(DataError, match="image 003"):
        next(samples)


def test_no_samples(memory_source, labels):
    assert list(samples_in_order(Dataset(memory_source, (), labels))) == []
