import gc
import threading
import weakref

import pytest

from limner.inference.reading_ahead import peek_readable, read_ahead


def test_items_come_in_order_with_what_was_read():
    assert [(item, result()) for item, result in read_ahead(range(20), lambda n: n * n)] == [
        (n, n * n) for n in range(20)
    ]


def test_an_error_is_raised_where_it_is_asked_for_and_the_others_go_on():
    def read(number):
        if number == 1:
            raise OSError("broken")
        return number

    results = []
    for _, result in read_ahead(range(3), read):
        try:
            results.append(result())
        except OSError as error:
            results.append(str(error))
    assert results == [0, "broken", 2]


def test_no_more_than_a_few_wait():
    """When item n is handed out, no item beyond n + ahead has been begun."""
    begun, lock = [], threading.Lock()

    def read(number):
        with lock:
            begun.append(number)

    for item, result in read_ahead(range(50), read, ahead=3):
        result()
        assert max(begun) <= item + 3


def test_a_loop_that_is_left_early_ends_the_threads():
    before = threading.active_count()
    for _ in read_ahead(range(100), lambda n: n):
        break
    assert threading.active_count() <= before


def test_nothing_to_read():
    assert list(read_ahead([], pytest.fail)) == []


def test_peeking_skips_what_cannot_be_read_and_reads_nothing_twice():
    reads = []

    def read(number):
        reads.append(number)
        if number < 2:
            raise ValueError(f"{number} is broken")
        return number * 10

    first, items = peek_readable(read_ahead(range(5), read), ValueError)
    assert first == 20
    results = []
    for number, result in items:
        try:
            results.append((number, result()))
        except ValueError as error:
            results.append((number, str(error)))
    assert results == [(0, "0 is broken"), (1, "1 is broken"), (2, 20), (3, 30), (4, 40)]
    assert sorted(reads) == [0, 1, 2, 3, 4]


def test_peeking_at_nothing_that_can_be_read():
    def read(number):
        raise ValueError(number)

    first, items = peek_readable(read_ahead(range(3), read), ValueError)
    assert first is None and [number for number, _ in items] == [0, 1, 2]


def test_what_was_peeked_at_is_not_held_after_it_was_handed_out():
    class Large:
        pass

    first, items = peek_readable(read_ahead(range(3), lambda _: Large()), ValueError)
    held = weakref.ref(first)
    del first
    _, result = next(items)
    assert held() is result()
    del result
    next(items)
    gc.collect()
    assert held() is None
