"""The plan with the settings that a run was actually trained with."""

from limner.core.plan import Plan
from limner.core.wording import rough_time
from limner.planning.run_length import for_steps
from limner.training.run_state import RunState


def as_run(plan: Plan, state: RunState) -> Plan:
    """Return the plan with the actual `accumulate` and, after a time budget, the actual number of steps.

    Args:
        plan: The plan that the run was started with.
        state: The run's last state.
    """
    if plan.train.minutes is not None and state.step:
        plan = _timed(plan, state)
    reasons = dict(plan.reasons)
    if state.accumulate != plan.train.accumulate:
        reasons["train.accumulate"] = "more parts than planned, because memory ran out"
    train = plan.train.model_copy(update={"accumulate": state.accumulate})
    return plan.model_copy(update={"train": train, "reasons": reasons})


def _timed(plan: Plan, state: RunState) -> Plan:
    """Return the plan with the decisions that were followed, counted in the steps that were done."""
    followed = for_steps(plan, state.expected_steps or plan.train.steps)
    counted = for_steps(plan, state.step)
    train = counted.train.model_copy(update={"steps": state.step, "ema_decay": followed.train.ema_decay})
    reasons = {
        **followed.reasons,
        "train.steps": f"the steps that a budget of {plan.train.minutes:g} min allowed",
    }
    if state.final_seconds:
        reasons["train.validate_every"] = f"a validation took about {rough_time(state.final_seconds)}"
    return plan.model_copy(
        update={
            "train": train,
            "schedule": counted.schedule,
            "optimizer": followed.optimizer,
            "reasons": reasons,
        }
    )
