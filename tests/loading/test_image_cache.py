import threading
from pathlib import Path

import numpy as np

from limner.core.sample import Record
from limner.loading import image_cache as cache_module
from limner.loading.image_cache import Decoded, MemoryCache


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
