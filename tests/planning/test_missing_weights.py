"""A plan that hoped for pretrained weights, on a machine that cannot have them."""

import pytest

from limner.core.config import merge
from limner.planning.missing_weights import without_pretrained


@pytest.fixture
def hoping(tiny_plan):
    """Makes the plan that the rules make for a batch of 8: 5e-4, since the encoder may be pretrained."""

    def make(rate=5e-4, **network):
        values = {
            "train": {"batch_size": 8},
            "optimizer": {"name": "adamw", "learning_rate": rate},
            "network": {"name": "encoder-unet", "options": {"backbone": "resnet18"}, "pretrained": "auto"}
            | network,
        }
        plan = tiny_plan()
        return type(plan).model_validate(merge(plan.model_dump(mode="json"), values))

    return make


def test_random_weights_get_the_rate_for_random_weights(hoping):
    plan = without_pretrained(hoping())
    assert (plan.network.pretrained, plan.optimizer.learning_rate) == ("no", 1e-3)
    assert plan.reasons["network.pretrained"] == "pretrained weights were unavailable"
    assert plan.reasons["optimizer.learning_rate"].endswith("pretrained weights were unavailable")
    assert without_pretrained(plan).optimizer.learning_rate == 1e-3


def test_a_rate_of_the_user_stays(hoping):
    assert without_pretrained(hoping(rate=2e-4)).optimizer.learning_rate == 2e-4
