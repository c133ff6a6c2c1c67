"""A plan for 4 steps that become 2000: what hangs on the number of steps follows, the user's values stay."""

import pytest

from limner.core.config import merge
from limner.planning.run_length import for_steps


@pytest.fixture
def short(tiny_plan):
    """Values of the rules for 4 steps and a batch of 8, from scratch with instance norm."""
    values = {
        "train": {"minutes": 3, "steps": 4, "batch_size": 8, "ema_decay": 0.9},
        "optimizer": {"name": "adamw", "learning_rate": 3e-3},
        "schedule": {"warmup_steps": 1},
        "network": {"name": "unet", "options": {"norm": "instance"}, "pretrained": "no"},
    }
    plan = tiny_plan()
    changed = merge(plan.model_dump(mode="json"), merge(values, {"train": {"validate_every": 2}}))
    return type(plan).model_validate(changed)


def test_rate_and_average_follow_the_steps(short):
    long = for_steps(short, 2000)
    assert (
        long.optimizer.learning_rate == 1e-3 and "fewer than" not in long.reasons["optimizer.learning_rate"]
    )
    assert long.train.ema_decay == 0.99  # the last 100 of 2000 steps
    assert long.reasons["train.ema_decay"] == "averages over about the last 100 steps"
    assert (long.schedule.warmup_steps, long.train.validate_every) == (500, 1000)
    assert for_steps(short, 4).model_dump(exclude={"reasons"}) == short.model_dump(exclude={"reasons"})


def test_values_of_the_user_stay(short):
    mine = short.model_copy(
        update={
            "train": short.train.model_copy(update={"ema_decay": 0.95}),
            "optimizer": short.optimizer.model_copy(update={"learning_rate": 2e-3}),
        }
    )
    long = for_steps(mine, 2000)
    assert (long.optimizer.learning_rate, long.train.ema_decay) == (2e-3, 0.95)
