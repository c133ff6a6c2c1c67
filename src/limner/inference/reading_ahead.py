"""Reading the next images while the current one is predicted."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def read_ahead(
    items: Iterable[T], read: Callable[[T], R], *, ahead: int = 2
) -> Iterator[tuple[T, Callable[[], R]]]:
    """Yield each item in order, with a function that returns the result of `read` or raises its error.

    Decoding releases the GIL, so threads are enough. At most `ahead` results are pending, so memory does not
    grow with the number of items.

    Args:
        items: Items to read.
        read: Function that reads an item, called in another thread.
        ahead: Number of items to read in advance.
    """
    remaining = iter(items)
    with ThreadPoolExecutor(max(1, ahead)) as pool:
        waiting: deque[tuple[T, Future[R]]] = deque()
        try:
            for item in islice(remaining, ahead):
                waiting.append((item, pool.submit(read, item)))
            while waiting:
                item, future = waiting.popleft()
                for following in islice(remaining, 1):
                    waiting.append((following, pool.submit(read, following)))
                yield item, future.result
                del future
        finally:
            for _, future in waiting:
                future.cancel()


def peek_readable(
    items: Iterator[tuple[T, Callable[[], R]]], error: type[Exception]
) -> tuple[R | None, Iterator[tuple[T, Callable[[], R]]]]:
    """Return the first result that can be read, and all items again, none of which is read twice.

    Args:
        items: Items with a function that returns their result, from `read_ahead`.
        error: Error of an item that cannot be read; None is returned if all of them have it.
    """
    begun: deque[tuple[T, Callable[[], R]]] = deque()
    for item in items:
        begun.append(item)
        with suppress(error):
            return item[1](), _all_items(begun, items)
    return None, _all_items(begun, items)


def _all_items(begun: deque[T], others: Iterator[T]) -> Iterator[T]:
    """Yield the items that are begun, none of which is held any longer then, and the others."""
    while begun:
        yield begun.popleft()
    yield from others
