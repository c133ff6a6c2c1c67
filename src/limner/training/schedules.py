"""Learning-rate schedules as pure functions of training progress.

A factor multiplies the maximum learning rate. It depends only on its arguments, so a resumed run follows the
same curve, and a run with a time budget follows it by time.

Legend: progress is the fraction of the run that is done, 0 at the first step and 1 at the end.
"""

import math
from collections.abc import Callable

from limner.core.plan import SchedulePlan

ONE_CYCLE_RISE = 0.3
"""Fraction of one-cycle in which the rate rises, and its initial factor: defaults of PyTorch's OneCycleLR."""
ONE_CYCLE_START = 1 / 25


def learning_rate_factor(
    plan: SchedulePlan, progress: float, *, warmup_part: float = 0.0, drops: int = 0
) -> float:
    """Return the factor of the maximum learning rate.

    Args:
        plan: Name and parameters of the schedule.
        progress: Fraction of the run that is done, in [0, 1].
        warmup_part: Fraction of the run that is warm-up; the curve is scaled linearly from
            `plan.warmup_factor` to 1 during it.
        drops: For plateau: number of times that the rate has been reduced.
    """
    progress = min(max(progress, 0.0), 1.0)
    factor = plan.gamma**drops if plan.name == "plateau" else CURVES[plan.name](plan, progress)
    if progress < warmup_part:
        factor *= plan.warmup_factor + (1 - plan.warmup_factor) * progress / warmup_part
    return factor


def _constant(plan: SchedulePlan, progress: float) -> float:
    return 1.0


def _poly(plan: SchedulePlan, progress: float) -> float:
    falling = float((1 - progress) ** plan.power)
    return plan.final_factor + (1 - plan.final_factor) * falling


def _cosine(plan: SchedulePlan, progress: float) -> float:
    return _anneal(1.0, plan.final_factor, progress)


def _step(plan: SchedulePlan, progress: float) -> float:
    return float(plan.gamma ** sum(progress >= milestone for milestone in plan.milestones))


def _one_cycle(plan: SchedulePlan, progress: float) -> float:
    if progress < ONE_CYCLE_RISE:
        return _anneal(ONE_CYCLE_START, 1.0, progress / ONE_CYCLE_RISE)
    return _anneal(1.0, plan.final_factor, (progress - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE))


def _anneal(start: float, end: float, part: float) -> float:
    """Interpolate from `start` to `end` along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


CURVES: dict[str, Callable[[SchedulePlan, float], float]] = {
    "constant": _constant,
    "poly": _poly,
    "cosine": _cosine,
    "step": _step,
    "one_cycle": _one_cycle,
}
"""Schedules that depend only on progress; plateau depends on the scores instead."""
