"""A plan without the pretrained encoder weights that it hoped for, which only the run finds out."""

from typing import Any

from limner.core.config import merge
from limner.core.plan import Plan
from limner.planning.rules.optimization import learning_rate
from limner.planning.settings import flatten, nest

UNAVAILABLE = "pretrained weights were unavailable"


def without_pretrained(plan: Plan) -> Plan:
    """Return the plan for random weights, with the learning rate that the rules choose for them.

    A learning rate that the user set to another than the rules would have chosen stays.

    Args:
        plan: A plan whose `network.pretrained` is ``auto``.
    """
    before = flatten(plan)
    after: dict[str, Any] = before | {"network.pretrained": "no"}
    reasons = {**plan.reasons, "network.pretrained": UNAVAILABLE}
    planned, followed = learning_rate(before), learning_rate(after)
    if before[planned.key] == planned.value:
        after[planned.key] = followed.value
        reasons[planned.key] = f"{followed.reason}; {UNAVAILABLE}"
    values = merge(plan.model_dump(mode="json"), nest(after))
    return Plan.model_validate({**values, "reasons": reasons})
