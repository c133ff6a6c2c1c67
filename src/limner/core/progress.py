"""Interface for reporting the progress of long work."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """Wraps an iterable and shows its progress; the command line shows a progress bar."""

    def __call__(self, items: Iterable[T], what: str, total: int) -> Iterable[T]:
        """Yield `items` unchanged; `what` describes the work, `total` is the number of items."""
        ...


def silent(items: Iterable[T], what: str, total: int) -> Iterable[T]:
    """Show nothing."""
    return items
