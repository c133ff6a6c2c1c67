"""How long work says how far it is, without knowing whether anybody looks."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """Wraps an iterable and shows how far it is; the command line gives a progress bar."""

    def __call__(self, items: Iterable[T], what: str, total: int) -> Iterable[T]:
        """Yield `items` unchanged; `what` names the work and `total` its length."""
        ...


def silent(items: Iterable[T], what: str, total: int) -> Iterable[T]:
    """Show nothing."""
    return items
