"""A plan for another number of steps than it was made for: in a time budget, the machine decides how many."""

from math import ceil

from limner.core.plan import Plan
from limner.planning.redecided import redecided
from limner.planning.rules.duration import averaging
from limner.planning.rules.optimization import learning_rate
from limner.planning.settings import flatten

FOLLOWERS = (learning_rate, averaging)
"""Rules whose decision depends on the number of steps, beside those that count in steps."""

COUNTED_IN_STEPS = ("schedule.warmup_steps", "train.validate_every", "train.save_every")
"""Settings that stay the same part of a run with a time budget."""


def for_steps(plan: Plan, steps: int) -> Plan:
    """Return the plan with the rules' decisions for another number of steps.

    Values that the user set to others than the rules would have chosen stay.

    Args:
        plan: A plan with a time budget; its own `train.steps` is the planner's estimate.
        steps: The number of steps that the run really has, as far as known.
    """
    before = flatten(plan)
    counted = {key: ceil(before[key] * steps / plan.train.steps) for key in COUNTED_IN_STEPS}
    return redecided(plan, {"train.steps": steps, **counted}, FOLLOWERS)
