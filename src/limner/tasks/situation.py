"""Information about data and machine with which a task chooses defaults."""

from typing import TYPE_CHECKING, Protocol

from limner.core.labels import LabelTable

if TYPE_CHECKING:
    from limner.devices.machine import Machine


class Situation(Protocol):
    """Information that defaults may depend on; implemented by `planning.decisions.Case`."""

    @property
    def labels(self) -> LabelTable:
        """The classes."""
        ...

    @property
    def machine(self) -> "Machine":
        """Capabilities of the device."""
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
        """Name of each class, and its fraction of all labelled training pixels."""
        ...

    @property
    def imbalance(self) -> float:
        """Ratio of pixels of the most common class to those of the rarest class that occurs."""
        ...


def on_machine(situation: Situation) -> str:
    """Return ``on the CPU``, or ``on`` and the name of the device, for a reason."""
    return "on the CPU" if situation.machine.is_cpu else f"on {situation.machine.name}"


def within_budget(situation: Situation) -> str:
    """Return the time budget with a space before it, such as `` in 3 min``, for a reason; else nothing."""
    return f" in {situation.minutes:g} min" if situation.minutes else ""
