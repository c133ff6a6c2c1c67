import threading

import numpy as np

from limner.core.label_map import LabelMap
from limner.core.sample import Sample
from limner.loading import image_cache as cache_module
from limner.loading.image_cache import MemoryCache


def sample_of(name, size=(4, 5)):
    return Sample(name, np.zeros((*size, 3), np.uint8), (LabelMap(np.zeros(size, np.uint8)),))


def test_memory_keeps_up_to_its_budget():
    # Each entry takes 4 * 5 * 4 = 80 bytes.
    cache = MemoryCache(200)
    for name in "abcd":
        cache.put(sample_of(name))
    assert [cache.get(name) is not None for name in "abcd"] == [True, True, False, False]
    assert cache.used_bytes == 160
    cache.put(sample_of("a"))
    assert cache.used_bytes == 160


def test_memory_stops_where_the_machine_runs_short(monkeypatch):
    monkeypatch.setattr(cache_module, "available_bytes", lambda: 1000 << 20)
    cache = MemoryCache()
    assert cache.budget_bytes == 500 << 20
    big = np.zeros((65 << 20, 1, 1), np.uint8)
    cache.put(Sample("a", big))
    # Another process takes all but 199 MB; a fifth of 1000 is kept free.
    monkeypatch.setattr(cache_module, "available_bytes", lambda: 199 << 20)
    cache.put(Sample("b", big))
    assert cache.get("a") is not None
    assert cache.get("b") is None
    assert cache.budget_bytes == cache.used_bytes


def test_memory_counts_right_under_many_threads():
    cache = MemoryCache(80 * 50)
    names = [f"{i}" for i in range(100)]

    def fill():
        for name in names:
            cache.put(sample_of(name))

    threads = [threading.Thread(target=fill) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = [name for name in names if cache.get(name) is not None]
    assert len(kept) == 50
    assert cache.used_bytes == 80 * 50
