"""Application of rules in order: each sees earlier decisions, and none overrides the user's settings."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from limner.core.labels import LabelTable
from limner.core.plan import Decision, Plan
from limner.devices.machine import Machine
from limner.planning.cost import Cost
from limner.planning.fingerprint import Fingerprint
from limner.planning.settings import Flat, default_values

YOU_SET_IT = "you set it"
"""Reason of every value that the user set."""


@dataclass(frozen=True)
class Case:
    """Input of the rules.

    Attributes:
        fingerprint: Statistics of the training images.
        labels: The label table.
        machine: What the device offers.
        minutes: The time budget, or None.
        measure: Measures memory and time per pixel of the chosen network.
        task: The task that the user set, or that the labels are for.
        task_reason: Why it is this one.
        start: The plan of the initial weights, or None.
        teacher: The plan of the teacher, or None.
        shows_text: Whether the images show text, which must not be mirrored.
        has_curved_words: Whether words have outlines of more than four corners.
        is_partly_labelled: Whether objects of some classes may be in an image and not drawn, as in LVIS.
        given: The dotted keys that the user set.
        allows_cascade: Whether a low-resolution stage can be trained before the network.
    """

    fingerprint: Fingerprint
    labels: LabelTable
    machine: Machine
    minutes: float | None
    measure: Callable[[Mapping[str, Any]], Cost]
    task: str = "semantic"
    task_reason: str = "the labels are for it"
    start: Plan | None = None
    teacher: Plan | None = None
    shows_text: bool = False
    has_curved_words: bool = False
    is_partly_labelled: bool = False
    given: frozenset[str] = frozenset()
    allows_cascade: bool = True

    def seen(self, settled: Mapping[str, Any]) -> Fingerprint:
        """Return the fingerprint of the images as `input.resize` or `input.resample` leaves them."""
        spacing = settled["input.spacing_mm"] if settled["input.resample"] else None
        return self.fingerprint.resampled(spacing).resized(settled["input.resize"])

    def cost(self, settled: Mapping[str, Any]) -> Cost:
        """Return the cost of training the chosen network on one of the devices, which may divide it."""
        cost = self.measure(settled)
        return cost.sharded(self.machine.num_processes) if settled["train.sharding"] == "full" else cost

    @property
    def spatial_dims(self) -> int:
        """2 for images, 3 for volumes."""
        return self.fingerprint.spatial_dims

    @property
    def class_shares(self) -> tuple[tuple[str, float], ...]:
        """Name of each class, and its part of all labelled training pixels."""
        return tuple((c.name, c.pixel_share) for c in self.fingerprint.classes)

    @property
    def imbalance(self) -> float:
        """Pixels of the commonest class over those of the rarest one that occurs."""
        return self.fingerprint.imbalance


Rule = Callable[[Case, Mapping[str, Any]], Iterable[Decision]]
"""Decides some keys from the case and the values so far (defaults for undecided keys)."""


def decide(
    case: Case, rules: Iterable[Rule], user: Flat, notes: Mapping[str, str] | None = None
) -> tuple[Flat, dict[str, str]]:
    """Run the rules in order.

    A mapping (such as `network.options`) is decided entry by entry: the user's entries are kept, the rule
    adds the others.

    Args:
        case: Input of the rules.
        rules: Rules, in order.
        user: The user's settings, by dotted key.
        notes: The user's own reasons for some settings.

    Returns:
        The value of every key, and the reason of each that a rule or the user decided.
    """
    settled = default_values() | user
    reasons = {key: (notes or {}).get(key, YOU_SET_IT) for key in user}
    for rule in rules:
        for decision in rule(case, settled):
            key, yours = decision.key, user.get(decision.key)
            if decision.remark and decision.remark not in reasons.get(key, ""):
                reasons[key] = f"{reasons.get(key, decision.reason)}; {decision.remark}"
            elif key not in user:
                settled[key], reasons[key] = decision.value, decision.reason
            elif isinstance(yours, dict) and isinstance(decision.value, dict):
                added = {name: value for name, value in decision.value.items() if name not in yours}
                settled[key] = added | yours
                if added:
                    reasons[key] = f"you set {', '.join(yours) or 'nothing'}; for the rest: {decision.reason}"
    return settled, reasons
