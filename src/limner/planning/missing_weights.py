"""A plan without the pretrained encoder weights that it hoped for, which only the run finds out."""

from limner.core.plan import Plan
from limner.planning.redecided import redecided
from limner.planning.rules.optimization import learning_rate

UNAVAILABLE = "pretrained weights were unavailable"


def without_pretrained(plan: Plan) -> Plan:
    """Return the plan for random weights, with the learning rate that the rules choose for them.

    Args:
        plan: A plan whose `network.pretrained` is ``auto``.
    """
    found = redecided(plan, {"network.pretrained": "no"}, [learning_rate], remark=f"; {UNAVAILABLE}")
    return found.model_copy(update={"reasons": {**found.reasons, "network.pretrained": UNAVAILABLE}})
