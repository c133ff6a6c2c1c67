import errno
import os
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from limner.core.sample import Record
from limner.core.segments import segments_of
from limner.loading import image_cache as cache_module
from limner.loading.image_cache import Decoded, DiskCache, MemoryCache


def decoded_of(number, size=(4, 5)):
    return Decoded(np.full((*size, 3), number, np.uint8), np.full(size, number, np.uint8))


def record_of(folder, name):
    path = Path(folder) / name
    path.write_bytes(name.encode())
    return Record(name, path, (path,))


def test_memory_keeps_up_to_its_budget(tmp_path):
    # Each entry takes 4 * 5 * 4 = 80 bytes.
    cache = MemoryCache(200)
    records = [record_of(tmp_path, f"{i}") for i in range(4)]
    for i, record in enumerate(records):
        cache.put(record, decoded_of(i))
    assert [cache.get(r) is not None for r in records] == [True, True, False, False]
    assert cache.used_bytes == 160
    cache.put(records[0], decoded_of(0))
    assert cache.used_bytes == 160


def test_what_memory_cannot_hold_spills(tmp_path):
    records = [record_of(tmp_path, f"{i}") for i in range(3)]
    cache = MemoryCache(80, spill=DiskCache(tmp_path / "cache"))
    for i, record in enumerate(records):
        cache.put(record, decoded_of(i))
    for i, record in enumerate(records):
        image, labels = cache.get(record).image, cache.get(record).semantic
        assert isinstance(image, np.memmap) == (i > 0)
        assert (image == i).all()
        assert (labels == i).all()


def test_memory_stops_where_the_machine_runs_short(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "available_bytes", lambda: 1000 << 20)
    cache = MemoryCache()
    assert cache.budget_bytes == 500 << 20
    big = Decoded(np.zeros((65 << 20, 1, 1), np.uint8), np.zeros((1, 1), np.uint8))
    cache.put(record_of(tmp_path, "a"), big)
    # Another process takes all but 199 MB; a fifth of 1000 is kept free.
    monkeypatch.setattr(cache_module, "available_bytes", lambda: 199 << 20)
    cache.put(record_of(tmp_path, "b"), big)
    assert cache.get(record_of(tmp_path, "a")) is not None
    assert cache.get(record_of(tmp_path, "b")) is None
    assert cache.budget_bytes == cache.used_bytes


def test_memory_counts_right_under_many_threads(tmp_path):
    cache = MemoryCache(80 * 50)
    records = [record_of(tmp_path, f"{i}") for i in range(100)]

    def fill():
        for i, record in enumerate(records):
            cache.put(record, decoded_of(i))

    threads = [threading.Thread(target=fill) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = [r for r in records if cache.get(r) is not None]
    assert len(kept) == 50
    assert cache.used_bytes == 80 * 50


def test_disk_outlives_the_process(tmp_path):
    record = record_of(tmp_path, "a")
    DiskCache(tmp_path / "cache").put(record, decoded_of(7))
    found = DiskCache(tmp_path / "cache").get(record)
    image, labels = found.image, found.semantic
    assert (image == 7).all()
    assert (labels == 7).all()
    assert not image.flags.writeable


def test_disk_keeps_segments_too(tmp_path):
    record = record_of(tmp_path, "a")
    masks = np.zeros((2, 4, 5), bool)
    masks[0, :2], masks[1, 1:3] = True, True
    segments = segments_of(masks, [3, 1], [False, True], shape=(4, 5))
    parts = ("image", "layers", "segments")
    DiskCache(tmp_path / "cache", parts=parts).put(record, Decoded(masks[0][..., None], segments=segments))
    found = DiskCache(tmp_path / "cache", parts=parts).get(record)
    np.testing.assert_array_equal(found.segments.masks(), masks)
    assert (found.segments.labels.tolist(), found.segments.is_crowd.tolist()) == ([3, 1], [False, True])


def test_disk_forgets_changed_files_and_other_label_tables(tmp_path):
    record = record_of(tmp_path, "a")
    DiskCache(tmp_path / "cache", key="one").put(record, decoded_of(7))
    assert DiskCache(tmp_path / "cache", key="two").get(record) is None
    assert DiskCache(tmp_path / "cache", key="one").get(record) is not None
    record.image.write_bytes(b"something longer")
    assert DiskCache(tmp_path / "cache", key="one").get(record) is None
    record.image.unlink()
    assert DiskCache(tmp_path / "cache", key="one").get(record) is None


def test_a_full_disk_warns_once_and_goes_on(tmp_path, monkeypatch):
    def full(file, array, allow_pickle):
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cache_module.np, "save", full)
    cache = DiskCache(tmp_path / "cache")
    with pytest.warns(UserWarning, match=r"cannot be kept in .*No space left on device.*decodes them each"):
        cache.put(record_of(tmp_path, "a"), decoded_of(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.put(record_of(tmp_path, "b"), decoded_of(0))
    assert cache.get(record_of(tmp_path, "a")) is None
    assert list((tmp_path / "cache").iterdir()) == []


def test_half_an_entry_is_no_entry(tmp_path):
    record = record_of(tmp_path, "a")
    DiskCache(tmp_path / "cache").put(record, decoded_of(7))
    (labels,) = (tmp_path / "cache").glob("*.labels.npy")
    labels.write_bytes(labels.read_bytes()[:100])
    assert DiskCache(tmp_path / "cache").get(record) is None
