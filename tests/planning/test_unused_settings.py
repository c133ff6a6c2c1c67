import pytest

from limner.core.errors import ConfigError
from limner.planning.settings import default_values, settable_fields
from limner.planning.unused_settings import NEEDED, PARTS_OF, REPLACED, refuse_unused_settings

SETTLED = default_values() | {"optimizer.name": "adamw", "schedule.name": "poly", "input.channels": 3}


@pytest.mark.parametrize(
    ("user", "more", "said"),
    [
        ({"optimizer.momentum": 0.95}, {}, "is for optimizer.name sgd; found adamw"),
        ({"schedule.power": 2.0}, {"schedule.name": "cosine"}, "is for schedule.name poly; found cosine"),
        ({"schedule.gamma": 0.5}, {}, "is for schedule.name step or plateau; found poly"),
        ({"augment.hue": 0.2}, {"input.channels": 1}, "is for input.channels 3; found 1"),
        ({"augment.jpeg": 30}, {"input.channels": 5}, "is for input.channels 1 or 3; found 5"),
        ({"augment.elastic_grid": 16}, {}, "part of augment.elastic, which is off"),
        (
            {"augment.scale": (0.8, 1.2)},
            {"augment.crop_area": (0.2, 1.0)},
            "no effect with augment.crop_area",
        ),
    ],
)
def test_a_setting_that_changes_nothing_is_refused(user, more, said):
    with pytest.raises(ConfigError, match=f"(?s)without any effect.*{said}.*[Oo]mit"):
        refuse_unused_settings(user, SETTLED | user | more)


def test_usual_values_and_those_with_an_effect_are_accepted():
    refuse_unused_settings(dict(SETTLED), SETTLED)
    user = {"optimizer.momentum": 0.95, "optimizer.name": "sgd", "augment.hue": 0.0}
    refuse_unused_settings(user, SETTLED | user | {"input.channels": 1})
    user = {"augment.scale": (1.0, 1.0), "augment.elastic": 10.0, "augment.elastic_grid": 16}
    refuse_unused_settings(user, SETTLED | user | {"augment.crop_area": (0.2, 1.0)})


def test_the_tables_have_keys_of_plans():
    named = {*NEEDED, *(key for key, _ in NEEDED.values()), *PARTS_OF, *PARTS_OF.values()}
    named |= {*REPLACED, *(key for key, _ in REPLACED.values())}
    assert named <= settable_fields().keys()
