"""What a task may ask of data and machine when it proposes defaults."""

from typing import TYPE_CHECKING, Protocol

from limner.core.labels import LabelTable

if TYPE_CHECKING:
    from limner.devices.machine import Machine


class Situation(Protocol):
    """What defaults may depend on; a case of `planning/` is one."""

    @property
    def labels(self) -> LabelTable:
        """The classes."""
        ...

    @property
    def machine(self) -> "Machine":
        """What the device offers."""
        ...

    @property
    def minutes(self) -> float | None:
        """The time budget, or None."""
        ...

    @property
    def spatial_dims(self) -> int:
        """2 for images, 3 for volumes."""
        ...

    @property
    def class_shares(self) -> tuple[tuple[str, float], ...]:
        """Name of each class, and its part of all labelled training pixels."""
        ...

    @property
    def imbalance(self) -> float:
        """Pixels of the commonest class over those of the rarest one that occurs."""
        ...
