"""A plan in which something changed after it was made: decisions that follow from it are made again."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from limner.core.config import merge
from limner.core.plan import Decision, Plan
from limner.planning.settings import flatten, nest


def redecided(
    plan: Plan,
    changes: Mapping[str, Any],
    rules: Sequence[Callable[[Mapping[str, Any]], Decision]],
    *,
    remark: str = "",
) -> Plan:
    """Return the plan with other values, and with the decisions of some rules made again.

    Values that the user set to others than the rules would have chosen stay.

    Args:
        plan: As it was made.
        changes: The other values, by dotted key.
        rules: Rules whose decisions depend on these values alone.
        remark: End of the reasons of the new decisions.
    """
    before = flatten(plan)
    after: dict[str, Any] = before | dict(changes)
    reasons = dict(plan.reasons)
    for rule in rules:
        planned, followed = rule(before), rule(after)
        if before[planned.key] == planned.value:
            after[planned.key] = followed.value
            reasons[planned.key] = followed.reason + remark
    values = merge(plan.model_dump(mode="json"), nest(after))
    return Plan.model_validate({**values, "reasons": reasons})
