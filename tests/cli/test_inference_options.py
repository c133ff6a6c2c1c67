import pytest

from limner.cli.inference_options import InferenceOptions
from limner.core.augment_plan import AugmentPlan
from limner.core.errors import ConfigError


def test_flips_that_would_mirror_nothing_are_refused(tiny_plan):
    plan = tiny_plan()
    assert InferenceOptions(flips=True).settings(plan).flips
    unmirrored = plan.model_copy(update={"augment": AugmentPlan(flip_axes=())})
    with pytest.raises(ConfigError, match=r"mirrored none(.|\n)*Omit --flips"):
        InferenceOptions(flips=True).settings(unmirrored)
    assert not InferenceOptions(flips=False).settings(unmirrored).flips


def test_without_a_model_every_given_option_is_named_and_refused():
    InferenceOptions().refuse_without_model()
    given = InferenceOptions(window="64x64", flips=False, value_range=(0, 255))
    with pytest.raises(ConfigError, match=r"--window, --flips, --range: only for a model(.|\n)*Omit"):
        given.refuse_without_model()
